// Package layouttest reads files of recorded market data by itself: with encoding/csv, and numbers and times by hand, and nothing of what it is
// there to check. What a reader of such files gives has to add up to the same.
package layouttest

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"math/big"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Files returns the recorded files that match a pattern, such as trades/*. They stand beside the repository on the machines that have them; elsewhere
// the test is skipped.
func Files(t testing.TB, pattern string) []string {
	t.Helper()
	root, err := os.Getwd()
	for err == nil {
		if _, stat := os.Stat(filepath.Join(root, "go.mod")); stat == nil {
			break
		}
		if filepath.Dir(root) == root {
			err = errors.New("no go.mod above")
		}
		root = filepath.Dir(root)
	}
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "..", "shared", "data")
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no recorded data in %s", folder)
	}
	return files
}

// shape is what is to be known of a file: which column is the time, and which are to be multiplied and summed. Column -1 is 1.
type shape struct {
	begin  string // of the file
	time   int
	sums   [][2]int
	comma  rune
	before time.Duration // how much earlier the bar begins than its label
}

func shapes() []shape {
	bars := func(begin string, time, first, volume int) shape {
		return shape{begin: begin, time: time, sums: [][2]int{{first, -1}, {first + 1, -1}, {first + 2, -1}, {first + 3, volume}}}
	}
	ninja := bars("20110301 090100;", 0, 1, 5)
	ninja.comma, ninja.before = ';', time.Minute
	return []shape{
		{begin: "ts_ns,event_ts_ms,trade_ts_ms", time: 0, sums: [][2]int{{5, 6}}},
		{begin: "TimestampOfReceive", time: 4, sums: [][2]int{{7, 8}}},
		{begin: "ts_ns,symbol,price", time: 0, sums: [][2]int{{2, 3}}},
		{begin: "time_seconds,price", time: 0, sums: [][2]int{{1, 2}}},
		{begin: `"symbol","side"`, time: 4, sums: [][2]int{{2, 3}}},
		{begin: `"timestamp","id"`, time: 0, sums: [][2]int{{4, -1}}},
		{begin: "1315922016,", time: 0, sums: [][2]int{{1, 2}}},
		{begin: "timestamp,price", time: 0, sums: [][2]int{{1, -1}}},
		{begin: "date,price", time: 0, sums: [][2]int{{1, -1}}},
		{begin: "ts_ns,event_ts_ms,transact_ts_ms", time: 0, sums: [][2]int{{5, 6}, {7, 8}}},
		{begin: "ts_ns,symbol,bid,bid_size", time: 0, sums: [][2]int{{2, 3}, {4, 5}}},
		{begin: "ts_ns,symbol,bid,ask", time: 0, sums: [][2]int{{2, -1}, {3, -1}}},
		bars("ts_ns,symbol,open", 0, 2, 6), bars("date,symbol,open", 0, 2, 6), bars(`"Ticker","Open"`, 7, 1, 6), bars("Timestamp,Open", 0, 1, 5),
		bars("Data,Otwarcie", 0, 1, 5), bars("date,open,high,low,close,adjclose", 0, 1, 6), ninja,
	}
}

// Sample is one row in Every: what its first price and its size are written as.
type Sample struct{ Price, Size string }

// Every is how far samples are apart.
const Every = 97

// Expect is what a file comes to.
type Expect struct {
	Rows        int
	First, Last time.Time
	Sum         *big.Rat // of price × size; of bars, of open, high, low and close × volume
	Sized       bool     // there are sizes; else Sum is of prices
	Nanos       Nanos    // of the times
	Samples     []Sample // of the rows 0, Every, 2 × Every and so on, at most 2,000
}

// Read reads a file.
func Read(t testing.TB, path string) Expect {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(40)
	if err != nil {
		t.Fatal(err)
	}
	all := shapes()
	i := slices.IndexFunc(all, func(s shape) bool { return strings.HasPrefix(string(head), s.begin) })
	if i < 0 {
		t.Fatalf("%s: unknown header %q", path, head)
	}
	return all[i].read(t, br, head[0] < '0' || head[0] > '9')
}

func (s *shape) read(t testing.TB, src io.Reader, header bool) Expect {
	t.Helper()
	rows := csv.NewReader(src)
	rows.ReuseRecord = true
	if s.comma != 0 {
		rows.Comma = s.comma
	}
	if header {
		if _, err := rows.Read(); err != nil {
			t.Fatal(err)
		}
	}
	x := Expect{Sized: s.sums[len(s.sums)-1][1] >= 0}
	sums := make(map[int]*sum) // by decimal places
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			x.Sum = total(sums)
			return x
		}
		if err != nil {
			t.Fatal(err)
		}
		at := parseTime(t, row[s.time]).Add(-s.before)
		if x.Rows == 0 {
			x.First = at
		}
		x.Last = at
		x.Nanos.Add(at.UnixNano())
		for _, pair := range s.sums {
			a, places := parseNumber(t, row[pair[0]])
			b, more := number{small: 1}, 0
			if pair[1] >= 0 {
				b, more = parseNumber(t, row[pair[1]])
			}
			to := sums[places+more]
			if to == nil {
				to = new(sum)
				sums[places+more] = to
			}
			to.add(a, b)
		}
		if x.Rows%Every == 0 && len(x.Samples) < 2000 {
			sample := Sample{Price: strings.Clone(row[s.sums[0][0]])}
			if i := s.sums[0][1]; i >= 0 {
				sample.Size = strings.Clone(row[i])
			}
			x.Samples = append(x.Samples, sample)
		}
		x.Rows++
	}
}

// parseTime reads a number of units since 1970, or a time in one of a few forms.
func parseTime(t testing.TB, s string) time.Time {
	whole, fraction, _ := strings.Cut(s, ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		unit := int64(1e9)
		for limit := int64(1e11); n >= limit && unit > 1; limit *= 1000 {
			unit /= 1000
		}
		n *= unit
		if fraction != "" {
			f, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
			if err != nil {
				t.Fatalf("time %q", s)
			}
			n += f * unit / 1e9
		}
		return time.Unix(0, n).UTC()
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02", "Jan 2 2006", "20060102 150405"} {
		if at, err := time.Parse(form, s); err == nil {
			return at
		}
	}
	t.Fatalf("time %q", s)
	return time.Time{}
}

// number is the digits of a decimal: large when they are more than fit into small.
type number struct {
	small    uint64
	negative bool
	large    *big.Int
}

// parseNumber reads a decimal number as digits × 10^-places.
func parseNumber(t testing.TB, s string) (n number, places int) {
	s, exponent, ok := strings.Cut(s, "E")
	if ok {
		e, err := strconv.Atoi(exponent)
		if err != nil {
			t.Fatalf("number %q", s)
		}
		places = -e
	}
	point, digits := -1, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			n.small = n.small*10 + uint64(c-'0')
			digits++
		case c == '.' && point < 0:
			point = i
		case c == '-' && i == 0:
			n.negative = true
		default:
			t.Fatalf("number %q", s)
		}
	}
	if point >= 0 {
		places += len(s) - point - 1
	}
	if digits == 0 {
		t.Fatalf("number %q", s)
	}
	if digits > 19 { // 10^19 fits, 10^20 does not
		n.large, ok = new(big.Int).SetString(strings.Replace(s, ".", "", 1), 10)
		if !ok {
			t.Fatalf("number %q", s)
		}
	}
	return n, places
}

func (n number) big() *big.Int {
	if n.large != nil {
		return n.large
	}
	b := new(big.Int).SetUint64(n.small)
	if n.negative {
		b.Neg(b)
	}
	return b
}

// sum is one of products, in 192 bits; those that are below zero or of large numbers are summed apart.
type sum struct {
	words [3]uint64 // the lowest first
	rest  big.Int
}

func (s *sum) add(a, b number) {
	if a.large != nil || b.large != nil || a.negative != b.negative {
		s.rest.Add(&s.rest, new(big.Int).Mul(a.big(), b.big()))
		return
	}
	high, low := bits.Mul64(a.small, b.small)
	var carry uint64
	s.words[0], carry = bits.Add64(s.words[0], low, 0)
	s.words[1], carry = bits.Add64(s.words[1], high, carry)
	s.words[2] += carry
}

// total adds up sums of so many decimal places.
func total(sums map[int]*sum) *big.Rat {
	all := new(big.Rat)
	for places, s := range sums {
		n := new(big.Int)
		for _, word := range slices.Backward(s.words[:]) {
			n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(word))
		}
		n.Add(n, &s.rest)
		ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(places, -places))), nil)
		if places < 0 {
			all.Add(all, new(big.Rat).SetInt(n.Mul(n, ten)))
		} else {
			all.Add(all, new(big.Rat).SetFrac(n, ten))
		}
	}
	return all
}

// Nanos is a sum of times.
type Nanos struct {
	high int64
	low  uint64
}

// Add adds a time in nanoseconds since 1970.
func (n *Nanos) Add(at int64) {
	low, carry := bits.Add64(n.low, uint64(at), 0)
	n.low = low
	n.high += at>>63 + int64(carry)
}
