package intake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

const (
	benchSenders = 16
	benchRounds  = 4
	benchRound   = 3 * time.Second
)

// BenchmarkAccept measures how many webhooks a second are acknowledged, with 16
// senders and a PostgreSQL that keeps what it committed, beside a bare server
// that does the least that has to be done: an echo handler that inserts a row
// and a River job in one transaction. The two take turns in one run; only their
// ratio means something on a noisy machine.
func BenchmarkAccept(b *testing.B) {
	ctx := context.Background()
	pg, err := localpg.Start(ctx, localpg.Options{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pg.Stop)
	for _, name := range []string{"tagboat", "bare"} {
		if err := pg.CreateDatabase(ctx, name, ""); err != nil {
			b.Fatal(err)
		}
	}
	secret := []byte("a secret of some length")
	ours := tagboatServer(b, pg.URL("tagboat"), secret)
	bare := bareServer(b, pg.URL("bare"))
	for b.Loop() {
		var our, floor load
		for range benchRounds {
			our.add(send(b, ours, secret))
			floor.add(send(b, bare, secret))
		}
		b.ReportMetric(our.perSecond(), "events/s")
		b.ReportMetric(our.p99(), "p99-ms")
		b.ReportMetric(floor.perSecond(), "bare-events/s")
		b.ReportMetric(floor.p99(), "bare-p99-ms")
		b.ReportMetric(our.perSecond()/floor.perSecond(), "ratio")
	}
}

func tagboatServer(b *testing.B, url string, secret []byte) *httptest.Server {
	s, err := store.Open(context.Background(), url, store.Options{MaxConns: benchSenders})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	doors, err := New(s, Secrets{GitHub: [][]byte{secret}, Registry: [][]byte{secret}, CI: [][]byte{secret}}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	doors.Register(e)
	server := httptest.NewServer(e)
	b.Cleanup(server.Close)
	return server
}

func bareServer(b *testing.B, url string) *httptest.Server {
	ctx := context.Background()
	s, err := store.Open(ctx, url, store.Options{MaxConns: 1}) // for the tables
	if err != nil {
		b.Fatal(err)
	}
	s.Close()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = benchSenders
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if _, err := pool.Exec(ctx, "CREATE TABLE event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, delivery text UNIQUE, body bytea)"); err != nil {
		b.Fatal(err)
	}
	queue, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: store.QueueSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	e.POST("/hooks/github", func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		ctx := c.Request().Context()
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			var id int64
			if err := tx.QueryRow(ctx, "INSERT INTO event (delivery, body) VALUES ($1, $2) RETURNING id",
				c.Request().Header.Get("X-GitHub-Delivery"), body).Scan(&id); err != nil {
				return err
			}
			_, err := queue.InsertTx(ctx, tx, job.Deliver{Delivery: id}, nil)
			return err
		})
		if err != nil {
			return err
		}
		return c.NoContent(http.StatusAccepted)
	})
	server := httptest.NewServer(e)
	b.Cleanup(server.Close)
	return server
}

var deliveries atomic.Int64

// send has 16 senders post 8 KB webhooks for one round.
func send(b *testing.B, server *httptest.Server, secret []byte) load {
	body := []byte(`{"action":"created","padding":"` + string(bytes.Repeat([]byte("x"), 8<<10)) + `"}`)
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchSenders}}
	defer client.CloseIdleConnections()
	start := time.Now()
	results := make([][]time.Duration, benchSenders)
	var senders sync.WaitGroup
	for i := range results {
		senders.Go(func() {
			for time.Since(start) < benchRound {
				sent := time.Now()
				if err := post(client, server.URL+"/hooks/github", signature, body); err != nil {
					b.Error(err)
					return
				}
				results[i] = append(results[i], time.Since(sent))
			}
		})
	}
	senders.Wait()
	return load{took: time.Since(start), answers: slices.Concat(results...)}
}

func post(client *http.Client, url, signature string, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-GitHub-Event", "issue_comment")
	req.Header.Set("X-GitHub-Delivery", "bench-"+strconv.FormatInt(deliveries.Add(1), 10))
	req.Header.Set("X-Hub-Signature-256", signature)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// load is what senders experienced.
type load struct {
	took    time.Duration
	answers []time.Duration
}

func (l *load) add(o load) {
	l.took += o.took
	l.answers = append(l.answers, o.answers...)
}

func (l *load) perSecond() float64 { return float64(len(l.answers)) / l.took.Seconds() }

func (l *load) p99() float64 {
	slices.Sort(l.answers)
	return float64(l.answers[len(l.answers)*99/100].Microseconds()) / 1000
}
