package main

import (
	"context"
	"os"

	"github.com/tagboat/tagboat/app"
)

// database is how a command that needs no server finds the database.
type database struct {
	Database string `env:"TAGBOAT_DATABASE_URL" help:"PostgreSQL database of the server; as a file, TAGBOAT_DATABASE_URL_FILE." placeholder:"URL"`
}

func (d database) url() (string, error) { return app.DatabaseURL(d.Database, os.Getenv) }

func (d database) audit(ctx context.Context) (*app.Auditor, error) {
	return opened(ctx, d, app.OpenAudit)
}

func (d database) explain(ctx context.Context) (*app.Explainer, error) {
	return opened(ctx, d, app.OpenExplain)
}

func opened[T any](ctx context.Context, d database, open func(ctx context.Context, url string) (T, error)) (T, error) {
	url, err := d.url()
	if err != nil {
		var none T
		return none, err
	}
	return open(ctx, url)
}
