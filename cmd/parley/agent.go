package main

type agentCmd struct {
	List agentListCmd `cmd:"" help:"List the agents that were seen."`
	Show agentShowCmd `cmd:"" help:"Show one agent."`
	Kick agentKickCmd `cmd:"" help:"Close the connections of an agent or a user."`
}
