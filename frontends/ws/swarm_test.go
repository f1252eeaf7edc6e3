package ws_test

import "io"

const swarmEnv = "PARLEY_WS_SWARM"

func swarmMain(in io.Reader, out io.Writer) int { return 0 }
