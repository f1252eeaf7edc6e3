package main

import (
	"strconv"

	"parley/admin"
)

type deadletterCmd struct {
	List   deadletterListCmd   `cmd:"" help:"List the messages that receivers did not acknowledge in time."`
	Replay deadletterReplayCmd `cmd:"" help:"Deliver dead letters once more, to the receivers that did not take them."`
	Drop   deadletterDropCmd   `cmd:"" help:"Take dead letters off the list."`
}

// deadletterNumbers are the arguments of the commands that do something about dead letters.
type deadletterNumbers struct {
	remote
	Tenant  string   `required:"" help:"Id of the tenant."`
	Numbers []uint64 `arg:"" name:"number" help:"Numbers of dead letters, as list prints them."`
}

// each does something about one dead letter after the other and prints the number of each when it is done.
func (cmd *deadletterNumbers) each(c *console, do func(*admin.Client, uint64) error) error {
	return cmd.with(c, func(client *admin.Client) error {
		for _, n := range cmd.Numbers {
			if err := do(client, n); err != nil {
				return err
			}
			if err := c.printLine(strconv.FormatUint(n, 10)); err != nil {
				return err
			}
		}
		return nil
	})
}
