package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Report is what a played story comes to.
type Report struct {
	Chapters []Chapter `json:"chapters"`
	// Running is what the clusters run, by environment and app, read from their
	// pods; prod-us is the cluster that prod gets in the last chapter.
	Running               map[string]map[string]Version `json:"running"`
	Pulls                 []PullReport                  `json:"pulls"`
	RestCallsPerPromotion int                           `json:"restCallsPerPromotion"`
}

// Chapter is a part of the story.
type Chapter struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Steps   []Step  `json:"steps"`
}

// Step is one thing that is done, or waited for.
type Step struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
	Output  string  `json:"output,omitempty"` // what a command printed that the step is about
}

// Version is what a container runs.
type Version struct {
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
}

// PullReport is a pull request of acme/env.
type PullReport struct {
	Number   int    `json:"number"`
	Title    string `json:"title"`
	State    string `json:"state"` // open, closed, merged
	MergeSHA string `json:"mergeSha,omitempty"`
}

// Failed names the first step that failed, "" if none did.
func (r Report) Failed() string {
	for _, c := range r.Chapters {
		for _, s := range c.Steps {
			if !s.OK {
				return fmt.Sprintf("chapter %s, step “%s”: %s", c.Name, s.Name, s.Error)
			}
		}
	}
	return ""
}

// patience is how long a step may take before it counts as failed: longer than Tagboat ever
// lets pass until it looks again at what nobody tells it.
const patience = 6 * time.Minute

// teller plays steps and writes down how they went. After the first one that
// fails, nothing more is played.
type teller struct {
	say    func(string)
	report Report
	failed bool
}

// chapter plays the steps that tell adds.
func (t *teller) chapter(ctx context.Context, name string, tell func(ctx context.Context)) {
	if t.failed {
		return
	}
	t.say("— " + name + " —")
	start := time.Now()
	t.report.Chapters = append(t.report.Chapters, Chapter{Name: name})
	tell(ctx)
	c := &t.report.Chapters[len(t.report.Chapters)-1]
	c.OK, c.Seconds = !t.failed, seconds(start)
}

// do plays one step.
func (t *teller) do(ctx context.Context, name string, act func(ctx context.Context) error) {
	if t.failed {
		return
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := act(ctx)
	s := Step{Name: name, OK: err == nil, Seconds: seconds(start)}
	mark := "✓"
	if err != nil {
		s.Error, t.failed, mark = err.Error(), true, "✗"
	}
	c := &t.report.Chapters[len(t.report.Chapters)-1]
	c.Steps = append(c.Steps, s)
	t.say(strings.TrimRight(fmt.Sprintf("  %s %s (%.1fs) %s", mark, name, s.Seconds, s.Error), " "))
}

// shows plays a step whose output people should see.
func (t *teller) shows(ctx context.Context, name string, act func(ctx context.Context) (string, error)) {
	var output string
	t.do(ctx, name, func(ctx context.Context) (err error) {
		output, err = act(ctx)
		return err
	})
	if t.failed {
		return
	}
	c := &t.report.Chapters[len(t.report.Chapters)-1]
	c.Steps[len(c.Steps)-1].Output = output
	for line := range strings.Lines(output) {
		t.say(strings.TrimRight("      "+line, " \n"))
	}
}

// until plays a step that waits until the world is as look wants it.
func (t *teller) until(ctx context.Context, name string, look func(ctx context.Context) error) {
	t.do(ctx, name, func(ctx context.Context) error {
		for {
			err := look(ctx)
			if err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("not within %s: %w", patience, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

func seconds(since time.Time) float64 {
	return float64(time.Since(since).Round(time.Millisecond)) / float64(time.Second)
}
