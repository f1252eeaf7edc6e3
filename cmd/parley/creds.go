package main

type credsCmd struct {
	Issue credsIssueCmd `cmd:"" help:"Print the text of a .creds file, with which a service connects to NATS."`
}
