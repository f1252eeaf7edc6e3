package main

type tenantCmd struct {
	Create  tenantCreateCmd  `cmd:"" help:"Make a tenant."`
	List    tenantListCmd    `cmd:"" help:"List all tenants."`
	Show    tenantShowCmd    `cmd:"" help:"Show one tenant with its keys."`
	Update  tenantUpdateCmd  `cmd:"" help:"Change a tenant's name or limits; they act at once."`
	Suspend tenantSuspendCmd `cmd:"" help:"Refuse all of a tenant's agents and services; its data stays."`
	Resume  tenantResumeCmd  `cmd:"" help:"Undo suspend."`
	Delete  tenantDeleteCmd  `cmd:"" help:"Remove a tenant with all its data, for good."`
}
