package line

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets the labs run beside each other: most of their time they wait for timers, whatever the number of processors.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
