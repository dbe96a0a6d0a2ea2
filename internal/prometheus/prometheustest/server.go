package prometheustest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Answer is what the server says to a query: the HTTP status and the body, as
// https://prometheus.io/docs/prometheus/latest/querying/api/ documents them.
type Answer struct {
	Status int
	Body   string
}

// Vector has a sample for each value. Values are text, as in the API: "0.5", "NaN".
func Vector(values ...string) Answer {
	var samples []string
	for i, v := range values {
		samples = append(samples, fmt.Sprintf(`{"metric":{"series":"%d"},"value":[1767323045.781,%q]}`, i, v))
	}
	return success("vector", "["+strings.Join(samples, ",")+"]")
}

// Scalar is one number without labels.
func Scalar(value string) Answer { return success("scalar", fmt.Sprintf(`[1767323045.781,%q]`, value)) }

// Matrix is what a range selector gives.
func Matrix() Answer {
	return success("matrix", `[{"metric":{},"values":[[1767323045.781,"1"]]}]`)
}

// Warned is an answer that the server does not stand behind as a whole.
func Warned(value, warning string) Answer {
	a := Vector(value)
	a.Body = strings.TrimSuffix(a.Body, "}") + fmt.Sprintf(`,"warnings":[%q]}`, warning)
	return a
}

// Refused is an error of the API: bad_data (400), execution (422), timeout (503).
func Refused(status int, kind, message string) Answer {
	return Answer{status, fmt.Sprintf(`{"status":"error","errorType":%q,"error":%q}`, kind, message)}
}

func success(kind, result string) Answer {
	return Answer{http.StatusOK, fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, result)}
}

// Server is one stand-in.
type Server struct {
	http    *httptest.Server
	mu      sync.Mutex
	answers map[string]Answer
	asked   []string
	login   string // the Authorization header that is wanted; "" is none
}

// Start starts one that has no data for any query.
func Start() *Server {
	s := &Server{answers: map[string]Answer{}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Close stops it.
func (s *Server) Close() { s.http.Close() }

// URL is where it is reached.
func (s *Server) URL() string { return s.http.URL }

// Say sets what a query is answered.
func (s *Server) Say(query string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[query] = a
}

// Want has it let in only who sends this Authorization header.
func (s *Server) Want(header string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = header
}

// Asked are the queries so far.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answer(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(a.Body)) // who asked may have gone away
}

func (s *Server) answer(r *http.Request) Answer {
	posted := r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	switch query := r.FormValue("query"); {
	case r.Header.Get("Authorization") != s.login:
		return Answer{http.StatusUnauthorized, "Unauthorized\n"}
	case r.URL.Path != "/api/v1/query":
		return Answer{http.StatusNotFound, "404 page not found\n"}
	case !posted && r.Method != http.MethodGet:
		return Answer{http.StatusMethodNotAllowed, "Method Not Allowed\n"}
	case query == "":
		return Refused(http.StatusBadRequest, "bad_data", "invalid parameter \"query\": unknown position: parse error: no expression found in input")
	case !isDuration(r.FormValue("timeout")):
		return Refused(http.StatusBadRequest, "bad_data", "invalid parameter \"timeout\": cannot parse it to a valid duration")
	default:
		s.asked = append(s.asked, query)
		if a, told := s.answers[query]; told {
			return a
		}
		return Vector()
	}
}

func isDuration(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}
