package main

type tokenCmd struct {
	Issue   tokenIssueCmd   `cmd:"" help:"Print a token for an agent or a user."`
	Inspect tokenInspectCmd `cmd:"" help:"Say what a token holds, and why it is good or refused."`
}
