package main

import (
	"errors"

	"parley/internal/fault"
	"parley/rooms"
)

// turnSecretEnv may hold what the TURN servers share with the broker. No flag does: other users see command lines.
const turnSecretEnv = "PARLEY_TURN_SECRET"

// ice returns by which servers participants of calls reach each other, and the file with the secret of that if there is one;
// or what is wrong with the settings.
func (s settings) ice(getenv func(string) string) (ice *rooms.ICE, file []*secretFile, err error) {
	cfg := rooms.ICEConfig{URLs: s.ICEServers, Secret: []byte(getenv(turnSecretEnv)), TTL: s.TurnTTL}
	if s.TurnSecretFile != "" {
		if len(cfg.Secret) > 0 {
			return nil, nil, fault.New(fault.Usage, "The secret of the TURN servers is given twice, as a file and in $%s.", turnSecretEnv)
		}
		f := &secretFile{what: "TURN", path: s.TurnSecretFile, use: func(b []byte) { ice.SetSecret(b) }}
		f.held, err = f.read()
		switch {
		case errors.Is(err, errNoSecret):
			return nil, nil, fault.New(fault.Usage, "The file %s holds no secret.", s.TurnSecretFile)
		case err != nil:
			return nil, nil, fault.Wrap(fault.Usage, err, "The secret of the TURN servers can't be read: %s.", err)
		}
		cfg.Secret, file = f.held, append(file, f)
	}
	ice, err = rooms.NewICE(cfg)
	return ice, file, err
}
