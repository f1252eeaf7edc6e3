package main

type tokenCmd struct {
	Issue   tokenIssueCmd   `cmd:"" help:"Print a token for an agent or a user."`
	Inspect tokenInspectCmd `cmd:"" help:"Say what a token holds, and why it is good or refused."`
	Revoke  tokenRevokeCmd  `cmd:"" help:"Refuse tokens from now on, also on open connections."`
	Revoked tokenRevokedCmd `cmd:"" help:"Look at which tokens are refused."`
}

type tokenRevokedCmd struct {
	List tokenRevokedListCmd `cmd:"" help:"List the revocations that still matter."`
}
