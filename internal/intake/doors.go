package intake

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// The headers of a CI callback. The signature is "sha256=" and the hex HMAC of
// the timestamp, a dot and the body: a recorded callback cannot be sent again
// much later.
const (
	HeaderTimestamp = "X-Tagboat-Timestamp" // seconds since 1970
	HeaderSignature = "X-Tagboat-Signature"
)

const (
	githubLimit   = 25 << 20 // GitHub's own cap (docs: "Webhook events and payloads")
	registryLimit = 1 << 20
	ciLimit       = 64 << 10

	// clockSkew is how far a CI's clock may be off, and how long a callback can
	// be repeated.
	clockSkew = 5 * time.Minute
)

// Secrets authenticate the senders. Several are valid at once, so that one can be
// replaced without losing a delivery.
type Secrets struct {
	GitHub   [][]byte
	Registry [][]byte
	CI       [][]byte
}

// Missing names the doors that have no secret. A door without one would let
// everybody in, so a server with missing secrets must not start.
func (s Secrets) Missing() []string {
	var missing []string
	for _, door := range []struct {
		name    string
		secrets [][]byte
	}{{"GitHub webhook", s.GitHub}, {"registry notification", s.Registry}, {"CI callback", s.CI}} {
		if !usable(door.secrets) {
			missing = append(missing, door.name)
		}
	}
	return missing
}

func usable(secrets [][]byte) bool {
	for _, s := range secrets {
		if len(s) == 0 {
			return false
		}
	}
	return len(secrets) > 0
}

// Inbox keeps deliveries; *store.Store is one.
type Inbox interface {
	Accept(ctx context.Context, a store.Arrival, job func(delivery int64) river.JobArgs) (fresh bool, err error)
}

// Doors are the handlers.
type Doors struct {
	inbox   Inbox
	secrets Secrets
	now     func() time.Time
	log     *slog.Logger
}

// New makes the doors. It refuses secrets that are missing or empty.
func New(inbox Inbox, secrets Secrets, now func() time.Time, log *slog.Logger) (*Doors, error) {
	if missing := secrets.Missing(); len(missing) > 0 {
		return nil, fault.Errorf(fault.Invalid, "no secret for: %s", strings.Join(missing, ", "))
	}
	return &Doors{inbox: inbox, secrets: secrets, now: now, log: log}, nil
}

// Register mounts the doors under /hooks.
func (d *Doors) Register(e *echo.Echo) {
	e.POST("/hooks/github", d.github)
	e.POST("/hooks/registry/distribution", d.distribution)
	e.POST("/hooks/ci", d.ci)
}

func (d *Doors) github(c echo.Context) error {
	body, err := read(c, githubLimit)
	if err != nil {
		return err
	}
	header := c.Request().Header
	if github.Verify(d.secrets.GitHub, header.Get("X-Hub-Signature-256"), body) != nil {
		return unauthorized("The signature does not match: check that the App's webhook secret is the one that Tagboat was given.")
	}
	id, event := header.Get("X-GitHub-Delivery"), header.Get("X-GitHub-Event")
	if id == "" || event == "" {
		return echo.NewHTTPError(http.StatusBadRequest, "The headers X-GitHub-Delivery and X-GitHub-Event are missing.")
	}
	return d.accept(c, store.Arrival{Source: store.SourceGitHub, DeliveryID: id, Event: event, Body: body})
}

func (d *Doors) distribution(c echo.Context) error {
	token, _ := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
	if !knows(d.secrets.Registry, token) {
		return unauthorized("The Authorization header does not carry the registry's token: check the endpoint's headers in the registry's configuration.")
	}
	body, err := read(c, registryLimit)
	if err != nil {
		return err
	}
	return d.accept(c, store.Arrival{Source: store.SourceDistribution, DeliveryID: bodyID(body), Event: "notification", Body: body})
}

func (d *Doors) ci(c echo.Context) error {
	body, err := read(c, ciLimit)
	if err != nil {
		return err
	}
	header := c.Request().Header
	if !d.signed(header.Get(HeaderTimestamp), header.Get(HeaderSignature), body) {
		return unauthorized("The signature does not match, or the timestamp is more than 5 minutes off: sign “timestamp.body” with the CI secret, at the time of sending.")
	}
	// A CI reads the answer, so it is told here what it did wrong.
	if _, err := image.ParseBuilt(body); err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	return d.accept(c, store.Arrival{Source: store.SourceCI, DeliveryID: bodyID(body), Event: "built", Body: body})
}

// accept stores an arrival with its job. A delivery that is known already is a
// success: its sender should stop sending it.
func (d *Doors) accept(c echo.Context, a store.Arrival) error {
	fresh, err := d.inbox.Accept(c.Request().Context(), a, func(id int64) river.JobArgs { return job.Deliver{Delivery: id} })
	if err != nil {
		d.log.ErrorContext(c.Request().Context(), "a delivery could not be stored", "source", a.Source, "delivery", a.DeliveryID, "error", err)
		return echo.NewHTTPError(http.StatusServiceUnavailable, "The delivery could not be stored; send it again.")
	}
	answer := "accepted"
	if !fresh {
		answer = "known already"
	}
	return c.JSON(http.StatusAccepted, map[string]string{"status": answer})
}

// read takes the whole body, up to limit bytes.
func read(c echo.Context, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, limit))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, echo.NewHTTPError(http.StatusRequestEntityTooLarge, "The body is larger than this door takes.")
	}
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "The body could not be read to its end.")
	}
	return body, nil
}

func unauthorized(message string) error {
	return echo.NewHTTPError(http.StatusUnauthorized, message)
}

// knows compares a token with every secret, in time that tells nothing about
// which, or how much of one, it matched.
func knows(secrets [][]byte, token string) bool {
	got := sha256.Sum256([]byte(token))
	found := 0
	for _, s := range secrets {
		want := sha256.Sum256(s)
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}

func (d *Doors) signed(timestamp, signature string, body []byte) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || d.now().Sub(time.Unix(seconds, 0)).Abs() > clockSkew {
		return false
	}
	found := false
	for _, secret := range d.secrets.CI {
		found = hmac.Equal([]byte(signature), []byte(SignCI(secret, timestamp, body))) || found
	}
	return found
}

// SignCI is the signature of a CI callback.
func SignCI(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// bodyID names a delivery whose sender gives it no name: the same body is the
// same delivery.
func bodyID(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
