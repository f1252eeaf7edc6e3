package main

import "parley/admin"

type roomCmd struct {
	List  roomListCmd  `cmd:"" help:"List rooms, and how many are in them."`
	Show  roomShowCmd  `cmd:"" help:"Show a room, and who is in it."`
	Kick  roomKickCmd  `cmd:"" help:"Take participants out of a room."`
	Move  roomMoveCmd  `cmd:"" help:"Put participants into another room."`
	Close roomCloseCmd `cmd:"" help:"Take everybody out of a room, which then is no more."`
}

// oneRoom is what all commands about one room have.
type oneRoom struct {
	remote
	Tenant string `required:"" help:"Id of the tenant."`
	ID     string `arg:"" name:"room" help:"Id of the room."`
}

// inRoom is what commands about people in a room have.
type inRoom struct {
	oneRoom
	Participants []string `arg:"" name:"participant" help:"Ids of participants, as parley room show prints them."`
}

// each does something with each participant in turn, and prints the ids of those with whom it is done.
func (cmd inRoom) each(c *console, do func(client *admin.Client, participant string) error) error {
	return cmd.with(c, func(client *admin.Client) error {
		for _, participant := range cmd.Participants {
			if err := do(client, participant); err != nil {
				return err
			}
			if err := c.printLine(participant); err != nil {
				return err
			}
		}
		return nil
	})
}
