package main

import (
	"context"

	"github.com/tagboat/tagboat/app"
)

type syncCommand struct {
	app.Config `embed:""`

	Only []string `name:"clusters" env:"TAGBOAT_SYNC_CLUSTERS" help:"Of the clusters that --cluster names, those to bring; all if not given." placeholder:"NAME"`
}

// Run brings the clusters until it is told to stop.
func (c syncCommand) Run(ctx context.Context, s streams) error {
	config, err := c.Config.Only(c.Only)
	if err != nil {
		return err
	}
	config.Syncs = true
	return serve(ctx, s, config)
}
