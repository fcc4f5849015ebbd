package columnar

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/parquet-go/parquet-go/format"
)

// A values is a column of the rows of a page.
type values struct {
	ints  []int64
	high  []int64 // of decimals
	null  []bool  // nil when there is none
	texts []string
}

func (v *values) isNull(i int) bool { return v.null != nil && v.null[i] }

// at returns number i.
func (v *values) at(i int) integer {
	if len(v.high) > 0 {
		return integer{v.high[i], uint64(v.ints[i])}
	}
	return integer{v.ints[i] >> 63, uint64(v.ints[i])}
}

// pages reads pages of a file, one row group at a time.
type pages struct {
	f       *file
	group   int      // -1 at first
	dicts   []values // of the columns of the group, as far as they were needed
	columns []values // of the page that was read last
	n       int      // its rows

	raw, plain []byte // scratch
	places     []int32
}

// read reads all columns of a page.
func (p *pages) read(group, page int) error {
	g := &p.f.groups[group]
	if p.columns == nil {
		p.columns = make([]values, len(p.f.fields))
	}
	if p.group != group {
		p.group = group
		p.dicts = make([]values, len(p.f.fields))
	}
	from, to := g.page(page)
	p.n = to - from
	for c := range p.f.fields {
		if err := p.column(&g.chunks[c], c, page); err != nil {
			return fmt.Errorf("group %d, column %s, page %d: %w", group, p.f.fields[c].name, page, err)
		}
	}
	return nil
}

// fetch reads a page with its header and unpacks it.
func (p *pages) fetch(at piece, limit int) (*format.PageHeader, error) {
	if cap(p.raw) < int(at.length) {
		p.raw = make([]byte, at.length)
	}
	p.raw = p.raw[:at.length]
	if err := p.f.readAt(p.raw, at.at); err != nil {
		return nil, err
	}
	header := new(format.PageHeader)
	n, err := unmarshal(p.raw, header)
	if err != nil {
		return nil, err
	}
	packed := p.raw[n:]
	if int(header.CompressedPageSize) != len(packed) || header.UncompressedPageSize < 0 || int(header.UncompressedPageSize) > limit {
		return nil, fmt.Errorf("%d bytes that say they are %d, and %d unpacked: %w",
			len(packed), header.CompressedPageSize, header.UncompressedPageSize, ErrCorrupt)
	}
	if crc32.ChecksumIEEE(packed) != uint32(header.CRC) {
		return nil, fmt.Errorf("the checksum does not hold: %w", ErrCorrupt)
	}
	if p.plain, err = p.f.unzip.DecodeAll(packed, p.plain[:0]); err != nil {
		return nil, fmt.Errorf("unpack: %w: %w", ErrCorrupt, err)
	}
	if len(p.plain) != int(header.UncompressedPageSize) {
		return nil, fmt.Errorf("%d bytes unpacked, not %d: %w", len(p.plain), header.UncompressedPageSize, ErrCorrupt)
	}
	return header, nil
}

// column reads a page of a column.
func (p *pages) column(ch *chunk, c, page int) error {
	if err := p.dictionary(ch, c); err != nil {
		return fmt.Errorf("dictionary: %w", err)
	}
	header, err := p.fetch(ch.pages[page], maxPage)
	if err != nil {
		return err
	}
	head := header.DataPageHeader.V
	if header.Type != format.DataPage || !header.DataPageHeader.Valid || int(head.NumValues) != p.n {
		return fmt.Errorf("a page of %d values of %d: %w", head.NumValues, p.n, ErrCorrupt)
	}
	f, v := &p.f.fields[c], &p.columns[c]
	body, n := p.plain, p.n
	v.null = nil
	if f.nullable {
		if body, n, err = p.levels(v, body); err != nil {
			return err
		}
	}
	v.ints, v.high, v.texts = v.ints[:0], v.high[:0], v.texts[:0]
	switch {
	case head.Encoding == format.RLEDictionary:
		err = p.fromDictionary(v, &p.dicts[c], ch, body, n)
	case head.Encoding == format.DeltaBinaryPacked && (f.form == formTime || f.form == formCount):
		v.ints, err = decodeDeltas(v.ints, body, n)
	case head.Encoding != format.Plain:
		err = fmt.Errorf("encoding %s: %w", head.Encoding, ErrCorrupt)
	case f.form == formText:
		v.texts, err = decodeTexts(v.texts, body, n)
	case f.form == formBool:
		v.ints, err = decodeBools(v.ints, body, n)
	default:
		v.ints, v.high, err = decodePlain(v.ints, v.high, body, f, n)
	}
	if err == nil && n < p.n {
		v.spread(p.n)
	}
	return err
}

// levels reads which rows have a value, and returns what follows, and how many there are.
func (p *pages) levels(v *values, body []byte) (rest []byte, n int, err error) {
	if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
		return nil, 0, fmt.Errorf("a page without levels: %w", ErrCorrupt)
	}
	length := int(binary.LittleEndian.Uint32(body))
	if p.places, err = decodeRuns(p.places[:0], body[4:4+length], 1, p.n); err != nil {
		return nil, 0, err
	}
	for _, level := range p.places {
		n += int(level)
	}
	if n < p.n {
		v.null = make([]bool, p.n)
		for i, level := range p.places {
			v.null[i] = level == 0
		}
	}
	return body[4+length:], n, nil
}

// spread moves values to their rows; rows without one get 0.
func (v *values) spread(n int) {
	k := len(v.ints)
	v.ints = append(v.ints, make([]int64, n-k)...)
	if v.high != nil {
		v.high = append(v.high[:k], make([]int64, n-k)...)
	}
	for i := n - 1; i >= 0; i-- {
		if v.null[i] {
			v.ints[i] = 0
			continue
		}
		k--
		v.ints[i] = v.ints[k]
		if v.high != nil {
			v.high[i] = v.high[k]
		}
	}
}

// dictionary reads the dictionary of a column, if it has one that was not read yet.
func (p *pages) dictionary(ch *chunk, c int) error {
	d := &p.dicts[c]
	if ch.dict.length == 0 || d.ints != nil || d.texts != nil {
		return nil
	}
	header, err := p.fetch(ch.dict, maxDict)
	if err != nil {
		return err
	}
	n := int(header.DictionaryPageHeader.V.NumValues)
	if header.Type != format.DictionaryPage || !header.DictionaryPageHeader.Valid || n < 0 || n > p.f.groups[p.group].rows {
		return fmt.Errorf("%d words: %w", n, ErrCorrupt)
	}
	switch f := &p.f.fields[c]; f.form {
	case formText:
		d.texts, err = decodeTexts(make([]string, 0, min(n, len(p.plain)/4)), p.plain, n)
	case formBool:
		return fmt.Errorf("of booleans: %w", ErrCorrupt)
	case formTime, formCount, formSmall, formDecimal:
		d.ints, d.high, err = decodePlain(make([]int64, 0, min(n, len(p.plain)/4)), nil, p.plain, f, n)
	}
	return err
}

func (p *pages) fromDictionary(v, d *values, ch *chunk, body []byte, n int) (err error) {
	if ch.dict.length == 0 {
		return fmt.Errorf("places in a dictionary that is not there: %w", ErrCorrupt)
	}
	if p.places, err = decodePlaces(p.places[:0], body, max(len(d.ints), len(d.texts)), n); err != nil {
		return err
	}
	for _, place := range p.places {
		switch {
		case d.texts != nil:
			v.texts = append(v.texts, d.texts[place])
		case d.high != nil:
			v.high = append(v.high, d.high[place])
			v.ints = append(v.ints, d.ints[place])
		default:
			v.ints = append(v.ints, d.ints[place])
		}
	}
	return nil
}
