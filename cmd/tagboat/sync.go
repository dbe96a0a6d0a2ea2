package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/tagboat/tagboat/app"
)

type syncCommand struct {
	app.Config `embed:""`

	Only []string `name:"clusters" env:"TAGBOAT_SYNC_CLUSTERS" help:"Of the clusters that --cluster names, those to bring; all if not given." placeholder:"NAME"`
}

// Run brings the clusters until it is told to stop.
func (c syncCommand) Run(ctx context.Context, s streams) (err error) {
	if c.Secrets, err = app.ReadSecrets(os.Getenv); err != nil {
		return err
	}
	if c.Database == "" { // given as a file
		c.Database = c.Secrets.Database
	}
	config, err := c.Config.Only(c.Only)
	if err != nil {
		return err
	}
	config.Syncs = true
	server, err := app.New(ctx, config, app.Log(s.err, slog.Level(c.LogLevel)))
	if err != nil {
		return err
	}
	defer server.Close()
	return server.Run(ctx)
}
