package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

// currentVersion is what this binary calls itself.
func currentVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the version of this binary; that of a server is what its admin API says under /info.
func (v *versionCmd) Run(c *console) error {
	if v.JSON {
		return c.printJSON(map[string]string{"version": currentVersion(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
	}
	return c.printLine(fmt.Sprintf("parley %s %s %s/%s", currentVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
}
