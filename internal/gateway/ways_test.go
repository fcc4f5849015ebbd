package gateway

import "testing"

// TestOtherWays holds the other ways to drive a session to what the shards are held to: goroutines of its own, over a socket and
// over TLS.
func TestOtherWays(t *testing.T) {
	tests := map[string]func(*testing.T){
		"Subscribe": TestSubscribe, "UnknownSymbolComesLater": TestUnknownSymbolComesLater, "Resume": TestResume,
		"ResumeWithinRecord": TestResumeWithinRecord, "AddSymbolFromCursor": TestAddSymbolFromCursor, "ResumeRefused": TestResumeRefused,
		"SlowClient": TestSlowClient, "Latest": TestLatest, "LatestBehindRing": TestLatestBehindRing, "LatestCursors": TestLatestCursors,
		"ShutdownTellsTheCursor": TestShutdownTellsTheCursor, "TapeUnavailable": TestTapeUnavailable,
		"TrimmedUnderClient": TestTrimmedUnderClient, "Prices": TestPrices, "Bars": TestBars, "Ping": TestPing, "Closes": TestCloses,
		"BadMessages": TestBadMessages, "ShutdownCutsStalledClients": TestShutdownCutsStalledClients, "Events": TestEvents,
		"EventsResume": TestEventsResume, "Deflate": TestDeflate, "AuthDeadline": TestAuthDeadline,
		"PlayJoins": TestPlayJoins, "PlayByAddress": TestPlayByAddress, "PlayEvents": TestPlayEvents, "PlayPacked": TestPlayPacked,
		"PlayLatest": TestPlayLatest, "Sent": TestSent, "PlayShutdown": TestPlayShutdown, "PlayQuiet": TestPlayQuiet,
	}
	defer func() { way.portable, way.tls = false, false }()
	for name, test := range tests {
		way.portable, way.tls = true, false
		t.Run("portable/"+name, test)
		way.portable, way.tls = false, true
		t.Run("tls/"+name, test)
	}
	for name, test := range map[string]func(*testing.T){"DeadClient": TestDeadClient, "MalformedFrames": TestMalformedFrames} {
		way.portable, way.tls = true, false
		t.Run("portable/"+name, test)
	}
}
