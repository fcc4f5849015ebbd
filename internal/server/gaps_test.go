package server

import (
	"tapedeck/internal/gateway"
	"tapedeck/internal/store"
)

// The gateway looks at run time whether history knows its gaps. Ours must.
var _ gateway.GapHistory = (*store.Store)(nil)
