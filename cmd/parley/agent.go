package main

type agentCmd struct {
	List agentListCmd `cmd:"" help:"List the agents that were seen."`
	Show agentShowCmd `cmd:"" help:"Show one agent."`
}
