package market

import (
	"errors"
	"testing"
)

func TestIntervalShort(t *testing.T) {
	for _, s := range []string{"1s", "5m", "4h", "1d", "1w", "3M"} {
		v, err := ParseInterval(s)
		if err != nil || v.Short() != s {
			t.Errorf("%s came back as %s, %v", s, v.Short(), err)
		}
	}
}

func TestEntriesThatAreNoBars(t *testing.T) {
	good := Entry{Kind: KindBar, Symbol: "X:A", Event: 0, Until: 60 * Second, Ref: "1m", Text: "12.5"}
	if b, err := good.Bar(); err != nil || !b.Imported || b.Volume.String() != "12.5" || b.VWAP() != b.Close {
		t.Errorf("%+v, %v", b, err)
	}
	for name, change := range map[string]func(*Entry){
		"no interval":     func(e *Entry) { e.Ref = "" },
		"an unknown one":  func(e *Entry) { e.Ref = "5x" },
		"no length":       func(e *Entry) { e.Until = e.Event },
		"a volume below":  func(e *Entry) { e.Text = "-1" },
		"a volume's word": func(e *Entry) { e.Text = "many" },
	} {
		e := good
		change(&e)
		if b, err := e.Bar(); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
	e := good
	e.Until = -1
	if _, err := e.Bar(); !errors.Is(err, ErrRange) {
		t.Errorf("a bar that ends before it begins: %v", err)
	}
	if !IsImport(ImportFeed+"00") || IsImport("sim") {
		t.Error("feeds of files are not told from others")
	}
}
