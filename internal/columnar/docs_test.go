package columnar

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// TestDocumentedColumns holds the columns that docs/formats.md lists.
func TestDocumentedColumns(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	describe := func(name string, fields []field) {
		want.WriteString(name + strings.Repeat(" ", 8-len(name)))
		for i, f := range fields {
			if i > 0 {
				want.WriteByte(' ')
			}
			want.WriteString(f.name)
		}
		want.WriteByte('\n')
	}
	describe(tickFields(market.KindTrade))
	describe(tickFields(market.KindQuote))
	describe(barFields())
	got := regexp.MustCompile("(?ms)^```\n(trades  .*?)^```$").FindSubmatch(doc)
	if got == nil || string(got[1]) != want.String() {
		t.Errorf("docs/formats.md lists other columns than\n%s", want.String())
	}
}
