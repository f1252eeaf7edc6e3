package main

import (
	"bytes"
	"os"

	"parley/internal/fault"
	"parley/rooms"
)

// turnSecretEnv may hold what the TURN servers share with the broker. No flag does: other users see command lines.
const turnSecretEnv = "PARLEY_TURN_SECRET"

// ice returns by which servers participants of calls reach each other, or what is wrong with the settings of that.
func (s settings) ice(getenv func(string) string) (*rooms.ICE, error) {
	cfg := rooms.ICEConfig{URLs: s.ICEServers, Secret: []byte(getenv(turnSecretEnv)), TTL: s.TurnTTL}
	if s.TurnSecretFile != "" {
		if len(cfg.Secret) > 0 {
			return nil, fault.New(fault.Usage, "The secret of the TURN servers is given twice, as a file and in $%s.", turnSecretEnv)
		}
		b, err := os.ReadFile(s.TurnSecretFile)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, err, "The secret of the TURN servers can't be read: %s.", err)
		}
		if cfg.Secret = bytes.TrimSpace(b); len(cfg.Secret) == 0 {
			return nil, fault.New(fault.Usage, "The file %s holds no secret.", s.TurnSecretFile)
		}
	}
	return rooms.NewICE(cfg)
}
