package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"tapedeck/internal/market"
)

// drain opens a file and reads all of it, and returns the first error.
func drain(b []byte) error {
	f, err := OpenTicks(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	s := f.Scan(market.TickQuery{})
	for {
		if _, err := s.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// lie returns the file with another footer.
func lie(t testing.TB, file []byte, tell func(*format.FileMetaData)) []byte {
	t.Helper()
	length := int(binary.LittleEndian.Uint32(file[len(file)-8:]))
	body := file[:len(file)-8-length]
	var meta format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), file[len(body):len(file)-8], &meta); err != nil {
		t.Fatal(err)
	}
	tell(&meta)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		t.Fatal(err)
	}
	out := append(append([]byte(nil), body...), footer...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), magic...)
}

func small(t testing.TB) []byte {
	t.Helper()
	rows := made(rand.New(rand.NewPCG(15, 16)), market.KindTrade, "SIM:AAPL", 300)
	return write(t, market.KindTrade, rows, WriterOptions{Rows: 128})
}

func TestLyingFootersAreRefused(t *testing.T) {
	file := small(t)
	for name, tell := range map[string]func(*format.FileMetaData){
		"rows":              func(m *format.FileMetaData) { m.NumRows = 1 << 60 },
		"rows of a group":   func(m *format.FileMetaData) { m.RowGroups[0].NumRows = 1 << 40 },
		"fewer rows":        func(m *format.FileMetaData) { m.RowGroups[0].NumRows-- },
		"no rows":           func(m *format.FileMetaData) { m.RowGroups[1].NumRows = 0 },
		"a column missing":  func(m *format.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[1:] },
		"a group missing":   func(m *format.FileMetaData) { m.RowGroups = m.RowGroups[1:] },
		"no columns":        func(m *format.FileMetaData) { m.Schema = m.Schema[:1] },
		"no schema":         func(m *format.FileMetaData) { m.Schema = nil },
		"columns in groups": func(m *format.FileMetaData) { m.Schema[1].NumChildren = thrift.New(int32(3)) },
		"another name":      func(m *format.FileMetaData) { m.Schema[2].Name = "time" },
		"another scale":     func(m *format.FileMetaData) { m.Schema[6].Scale = thrift.New(int32(99)) },
		"another type":      func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].MetaData.Type = format.Double },
		"another codec":     func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].MetaData.Codec = format.Gzip },
		"another file":      func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].FilePath = "/etc/passwd" },
		"index before":      func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].OffsetIndexOffset = -5 },
		"index behind":      func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].OffsetIndexOffset = 1 << 50 },
		"long index":        func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].OffsetIndexLength = 1 << 30 },
		"no index":          func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].OffsetIndexLength = 0 },
		"no bounds":         func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].ColumnIndexLength = 0 },
		"pages as bounds": func(m *format.FileMetaData) {
			c := &m.RowGroups[0].Columns[1]
			c.ColumnIndexOffset, c.ColumnIndexLength = c.OffsetIndexOffset, c.OffsetIndexLength
		},
		"dictionary before": func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DictionaryPageOffset = 1 },
		"dictionary behind": func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DictionaryPageOffset = 1 << 40 },
		"no dictionary":     func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DictionaryPageOffset = 0 },
		"columns exchanged": func(m *format.FileMetaData) {
			c := m.RowGroups[0].Columns
			c[1].OffsetIndexOffset, c[2].OffsetIndexOffset = c[2].OffsetIndexOffset, c[0].OffsetIndexOffset
			c[1].OffsetIndexLength, c[2].OffsetIndexLength = c[2].OffsetIndexLength, c[0].OffsetIndexLength
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := drain(lie(t, file, tell)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
		})
	}
	foreign := lie(t, file, func(m *format.FileMetaData) { m.KeyValueMetadata = nil })
	if err := drain(foreign); !errors.Is(err, ErrForeign) {
		t.Errorf("a file without our mark: got %v, want ErrForeign", err)
	}
}

func TestCutFilesAreRefused(t *testing.T) {
	file := small(t)
	for n := range len(file) {
		if err := drain(file[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes of %d: got %v, want ErrCorrupt", n, len(file), err)
		}
	}
}

// A byte that changed is noticed, or was one that says nothing.
func TestChangedBytesAreNeverOtherRows(t *testing.T) {
	file := small(t)
	want := read(t, open(t, file), market.TickQuery{})
	r := rand.New(rand.NewPCG(17, 18))
	for range 600 {
		bad := bytes.Clone(file)
		at := r.IntN(len(bad))
		bad[at] ^= 1 << r.IntN(8)
		f, err := OpenTicks(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			continue
		}
		s, i := f.Scan(market.TickQuery{}), 0
		for ; ; i++ {
			row, err := s.Next()
			if err != nil {
				if errors.Is(err, io.EOF) && i != len(want) {
					t.Fatalf("byte %d: the file ends after %d rows", at, i)
				}
				break
			}
			if *row != want[i] {
				t.Fatalf("byte %d: row %d is another: %+v", at, i, *row)
			}
		}
	}
}

// A page that says it is small and unpacks to gigabytes, under a checksum that holds.
func TestBombsDoNotGoOff(t *testing.T) {
	file := small(t)
	f := open(t, file)
	zip, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := zip.EncodeAll(make([]byte, 256<<20), nil)
	for _, says := range []int32{100, maxPage, 1<<31 - 1, -1} {
		header := format.PageHeader{
			Type: format.DataPage, UncompressedPageSize: says, CompressedPageSize: int32(len(bomb)), CRC: int32(crc32.ChecksumIEEE(bomb)),
			DataPageHeader: thrift.New(format.DataPageHeader{NumValues: 128, Encoding: format.Plain}),
		}
		head, err := marshal(&header)
		if err != nil {
			t.Fatal(err)
		}
		page := append(head, bomb...)
		p := pages{f: f.With(bytes.NewReader(page)).own(), group: -1}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = p.fetch(piece{0, int32(len(page))}, maxPage)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("says %d: got %v, want ErrCorrupt", says, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("says %d: %d bytes were taken", says, used)
		}
	}
}

func (f *TickFile) own() *file { return &f.file }

func TestListsThatSayTooMuch(t *testing.T) {
	// A footer whose list of row groups says that it has 2^31-1 of them.
	footer := []byte{0x15, 4, 0x19, 0x1c, 0x48, 1, 'r', 0, 0x16, 0, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7}
	file := append([]byte(magic), footer...)
	file = append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), magic...)
	if err := drain(file); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	deep := append(bytes.Repeat([]byte{0x1c}, 1<<20), 0)
	file = append(append([]byte(magic), deep...), 0, 0, 0, 0)
	file = append(binary.LittleEndian.AppendUint32(file[:len(file)-4], uint32(len(deep))), magic...)
	if err := drain(file); !errors.Is(err, ErrCorrupt) {
		t.Errorf("deep structs: got %v, want ErrCorrupt", err)
	}
}

func TestTextsOfAnyLength(t *testing.T) {
	rows := made(rand.New(rand.NewPCG(19, 20)), market.KindTrade, "SIM:AAPL", 2000)
	for i := range rows {
		rows[i].Ref = strings.Repeat("x", i*16) // 32 MB in all
	}
	rows[9].Conditions = "broken \xff text"
	got := read(t, open(t, write(t, market.KindTrade, rows, WriterOptions{})), market.TickQuery{})
	rows[9].Conditions = "broken \uFFFD text"
	for i := range rows {
		if rows[i] != got[i] {
			t.Fatalf("row %d is another", i)
		}
	}
	rows[0].Ref = strings.Repeat("x", longestText+1)
	w, err := NewTickWriter(io.Discard, market.KindTrade, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&rows[0]); err == nil {
		t.Error("a text of any length is taken")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(small(f))
	f.Add(write(f, market.KindQuote, made(rand.New(rand.NewPCG(1, 1)), market.KindQuote, "SIM:A", 5), WriterOptions{}))
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := drain(b); err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrForeign) {
			t.Error(err)
		}
		if file, err := OpenBars(bytes.NewReader(b), int64(len(b))); err == nil {
			s := file.Scan()
			for err == nil {
				_, err = s.Next()
			}
		}
	})
}

// FuzzDecode goes to the decoders, which checksums keep FuzzOpen from.
func FuzzDecode(f *testing.F) {
	rows := made(rand.New(rand.NewPCG(1, 1)), market.KindTrade, "SIM:A", 200)
	name, fields := tickFields(market.KindTrade)
	table := newTable(name, fields)
	for i := range rows {
		if err := table.addTick(&rows[i]); err != nil {
			f.Fatal(err)
		}
		table.grown(0, 1<<20)
	}
	for i := range table.columns {
		e, err := table.columns[i].encode([]span{{0, 200}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.pages[0], uint8(7), uint16(200))
	}
	f.Add([]byte("2,=5e-30"), uint8(1), uint16(2))
	f.Fuzz(func(t *testing.T, b []byte, width uint8, n uint16) {
		rows := int(n)
		check := func(what string, got int, err error) {
			if err == nil && got != rows || err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %d of %d, %v", what, got, rows, err)
			}
		}
		ints, err := decodeDeltas(nil, b, rows)
		check("deltas", len(ints), err)
		places, err := decodeRuns(nil, b, uint(width), rows)
		check("runs", len(places), err)
		places, err = decodePlaces(nil, b, 100, rows)
		check("places", len(places), err)
		texts, err := decodeTexts(nil, b, rows)
		check("texts", len(texts), err)
		for _, form := range []form{formTime, formSmall, formDecimal} {
			ints, _, err = decodePlain(nil, nil, b, &field{form: form}, rows)
			check("plain", len(ints), err)
		}
		ints, err = decodeBools(nil, b, rows)
		check("bools", len(ints), err)
		if x, err := parseNotation(string(b), int(width%7)); err == nil {
			for i := range x.n {
				_, _ = x.decimal(i, integer{int64(n), uint64(n)}, false, 12)
				_, _ = x.wide(i, integer{int64(n), uint64(n)}, false, 12)
			}
		}
	})
}
