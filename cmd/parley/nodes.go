package main

type nodeCmd struct {
	List   nodeListCmd   `cmd:"" help:"List the nodes of the cluster, with those that are down."`
	Remove nodeRemoveCmd `cmd:"" help:"Take a dead node out of the cluster for good."`
}
