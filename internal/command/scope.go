package command

// Stopped says in words what a hold or a freeze keeps from changing, and the command
// that lifts it. Without an app it is all apps; without an environment, all of them;
// everywhere is every env repo of an owner.
func Stopped(owner, env, app string, everywhere bool) (what, lift string) {
	switch {
	case app != "":
		return app + " in " + env, "/unhold " + env + " " + app
	case env != "":
		return "all of " + env, "/thaw " + env
	case !everywhere:
		return "every environment", "/thaw " + All
	}
	return "every env repo of " + owner, "/thaw " + Organisation
}
