package server

import (
	"fmt"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
)

// mostBehind is how many ticks history may be behind the tape before the server calls itself not ready: a second or two of what
// the store can record. Feeds that bring more than that for long are too much for the machine.
const mostBehind = 500_000

// parts tells /readyz how the parts are.
func (n *node) parts() []gateway.Part {
	parts := []gateway.Part{{Name: "tape", Err: n.tape.Health()}}
	st := gateway.Part{Name: "store", Err: n.store.Health()}
	if n.recorder != nil {
		lag := n.store.Lag()
		if _, applied := n.store.Applied(); st.Err == nil && applied < n.caughtUp {
			st.Err = fmt.Errorf("catching up with the tape: %d records to go", lag)
		}
		recorded, _ := n.store.Entries()
		entries := n.tape.Stats().Ordinal
		behind := entries - min(recorded, entries) // a store of another tape may be ahead
		if st.Err == nil && behind > mostBehind {
			st.Err = fmt.Errorf("history is %d ticks behind the tape", behind)
		}
		st.Note = fmt.Sprintf("%d records, %d ticks behind the tape", lag, behind)
	}
	parts = append(parts, st)
	if n.archiver != nil {
		// Days that are not archived yet are in the store: nobody misses anything.
		if err := n.archiver.Health(); err != nil {
			parts = append(parts, gateway.Part{Name: "archive", Note: err.Error()})
		}
	}
	if n.alerts != nil {
		parts = append(parts, gateway.Part{Name: "alert", Err: n.alerts.Health()})
	}
	if n.noAlerts != nil {
		parts = append(parts, gateway.Part{Name: "alert", Err: n.noAlerts})
	}
	for _, info := range n.feedInfos() {
		// A feed that is down does not make the server useless: history and the other feeds go on.
		parts = append(parts, gateway.Part{Name: "feed " + info.Name, Note: joinNote(info.State, info.Error)})
	}
	return append(parts, n.published()...)
}

func joinNote(state, reason string) string {
	if reason == "" {
		return state
	}
	return state + ": " + reason
}

// feedState names the state of a feed as /v1/feeds does.
func feedState(s market.State) string {
	switch s {
	case market.StateUnknown:
		return "connecting"
	case market.StateClosed:
		return "done"
	default:
		return s.String()
	}
}
