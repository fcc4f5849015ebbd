package natstape

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server/avl"
)

// JetStream notes what is in the blocks in index.db every two minutes and when it is stopped. After a kill that is out of date,
// and the server then reads all blocks before it starts, and cuts each damaged one off at the first bad record. So the index is
// brought up to date here before the server starts: by reading only the blocks that are newer than it.
//
// The file, numbers as varints (uvarint, those marked ± signed):
//
//	magic 11, version 4                     a byte each
//	messages, bytes, first sequence, ±first time, last sequence, ±last time
//	number of subjects, and for each:       length, subject, messages, first block, last block
//	number of blocks, and for each:         number, bytes, first sequence, ±first time (from that of the stream), last sequence,
//	                                        ±last time (the same), deleted, messages with a TTL, with a schedule;
//	                                        when some are deleted, the set of them
//	number of the last block
//	hash of its last record                 8 bytes
//	HighwayHash-64 of all of this           8 bytes, under a key made of the stream's name
//
// (server/filestore.go of nats-server 2.15.2.) Of an index of another version nothing is read and nothing is written; the server
// does its own reading then. TestIndexIsAccepted fails when the server doesn't take what is written here.
type blockIndex struct {
	messages, bytes     uint64
	first, last         uint64
	firstTime, lastTime int64
	subjects            map[string]*subjectIndex
	blocks              []blockSummary
	tail                [blockHash]byte // hash of the last record of the last block
}

// subjectIndex counts the messages of a subject.
type subjectIndex struct {
	total       uint64
	first, last uint32 // blocks
}

// blockSummary is what the index says of a block.
type blockSummary struct {
	number              uint32
	bytes               uint64
	first, last         uint64
	firstTime, lastTime int64
	deleted             avl.SequenceSet
}

func (b *blockSummary) messages() uint64 {
	return b.last - b.first + 1 - uint64(b.deleted.Size())
}

const (
	indexMagic   = 11
	indexVersion = 4
)

// errNoIndex says that an index can't be used: it isn't there, is damaged or of another version.
var errNoIndex = errors.New("no usable index of the blocks")

func indexHash(b []byte) []byte {
	key := sha256.Sum256([]byte(streamName))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(fmt.Sprintf("BUG: the key of a hash: %v", err)) // it has the right length
	}
	h.Write(b)
	return h.Sum(nil)
}

// readIndex reads the index of a folder of blocks.
func readIndex(dir string) (*blockIndex, error) {
	b, err := os.ReadFile(filepath.Join(dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoIndex
	}
	if err != nil {
		return nil, fmt.Errorf("read the index of the blocks: %w", err)
	}
	return parseIndex(b)
}

// varints reads the numbers of an index; after a failure all further ones are 0.
type varints struct {
	b      []byte
	failed bool
}

func (v *varints) uint() uint64 {
	n, size := binary.Uvarint(v.b)
	if size <= 0 {
		v.failed, v.b = true, nil
		return 0
	}
	v.b = v.b[size:]
	return n
}

func (v *varints) int() int64 {
	n, size := binary.Varint(v.b)
	if size <= 0 {
		v.failed, v.b = true, nil
		return 0
	}
	v.b = v.b[size:]
	return n
}

// count reads a number of things that take at least a byte each.
func (v *varints) count() int {
	n := v.uint()
	if n > uint64(len(v.b)) {
		v.failed, v.b = true, nil
		return 0
	}
	return int(n)
}

func (v *varints) bytes(n int) []byte {
	if n > len(v.b) {
		v.failed, v.b = true, nil
		return nil
	}
	b := v.b[:n]
	v.b = v.b[n:]
	return b
}

func parseIndex(b []byte) (*blockIndex, error) {
	if len(b) < 2+8 || b[0] != indexMagic || b[1] != indexVersion || !bytes.Equal(indexHash(b[:len(b)-8]), b[len(b)-8:]) {
		return nil, errNoIndex
	}
	v := &varints{b: b[2 : len(b)-8]}
	x := &blockIndex{subjects: map[string]*subjectIndex{}}
	x.messages, x.bytes, x.first, x.firstTime, x.last, x.lastTime = v.uint(), v.uint(), v.uint(), v.int(), v.uint(), v.int()
	for range v.count() {
		name := string(v.bytes(v.count()))
		x.subjects[name] = &subjectIndex{v.uint(), uint32(v.uint()), uint32(v.uint())}
	}
	for range v.count() {
		s := blockSummary{number: uint32(v.uint()), bytes: v.uint(), first: v.uint(), firstTime: v.int() + x.firstTime, last: v.uint(), lastTime: v.int() + x.firstTime}
		deleted, ttls, schedules := v.uint(), v.uint(), v.uint()
		if v.failed || ttls != 0 || schedules != 0 {
			return nil, errNoIndex
		}
		if deleted > 0 {
			set, n, err := avl.Decode(v.b)
			if err != nil {
				return nil, errNoIndex
			}
			s.deleted = *set
			v.bytes(n)
		}
		x.blocks = append(x.blocks, s)
	}
	last := uint32(v.uint())
	copy(x.tail[:], v.bytes(blockHash))
	if v.failed || len(v.b) != 0 || len(x.blocks) == 0 || x.blocks[len(x.blocks)-1].number != last {
		return nil, errNoIndex
	}
	return x, nil
}

// encode is the opposite of parseIndex.
func (x *blockIndex) encode() []byte {
	b := []byte{indexMagic, indexVersion}
	b = binary.AppendUvarint(b, x.messages)
	b = binary.AppendUvarint(b, x.bytes)
	b = binary.AppendUvarint(b, x.first)
	b = binary.AppendVarint(b, x.firstTime)
	b = binary.AppendUvarint(b, x.last)
	b = binary.AppendVarint(b, x.lastTime)
	b = binary.AppendUvarint(b, uint64(len(x.subjects)))
	for name, s := range x.subjects {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendUvarint(b, s.total)
		b = binary.AppendUvarint(b, uint64(s.first))
		b = binary.AppendUvarint(b, uint64(s.last))
	}
	b = binary.AppendUvarint(b, uint64(len(x.blocks)))
	for i := range x.blocks {
		s := &x.blocks[i]
		b = binary.AppendUvarint(b, uint64(s.number))
		b = binary.AppendUvarint(b, s.bytes)
		b = binary.AppendUvarint(b, s.first)
		b = binary.AppendVarint(b, s.firstTime-x.firstTime)
		b = binary.AppendUvarint(b, s.last)
		b = binary.AppendVarint(b, s.lastTime-x.firstTime)
		n := s.deleted.Size()
		b = binary.AppendUvarint(b, uint64(n))
		b = append(b, 0, 0) // TTLs and schedules
		if n > 0 {
			b = append(b, s.deleted.Encode(nil)...)
		}
	}
	b = binary.AppendUvarint(b, uint64(x.blocks[len(x.blocks)-1].number))
	b = append(b, x.tail[:]...)
	return append(b, indexHash(b)...)
}

// fits tells whether the index is about exactly these blocks, with nothing added since.
func (x *blockIndex) fits(blocks []blockFile) bool {
	return slices.EqualFunc(x.blocks, blocks, func(s blockSummary, b blockFile) bool { return s.number == b.number }) &&
		blocks[len(blocks)-1].endsWith(x.tail)
}

// endsWith tells whether a block's last bytes are this hash.
func (b *blockFile) endsWith(tail [blockHash]byte) bool {
	f, err := os.Open(b.path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	var got [blockHash]byte
	_, err = f.ReadAt(got[:], max(0, b.size-blockHash))
	return err == nil && got == tail
}

// writeIndex replaces the index of a folder of blocks.
func writeIndex(dir string, x *blockIndex) error {
	path := filepath.Join(dir, indexFile)
	tmp := path + ".new"
	if err := os.WriteFile(tmp, x.encode(), 0o600); err != nil {
		return errors.Join(fmt.Errorf("write the index of the blocks: %w", err), os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("replace the index of the blocks: %w", err)
	}
	return nil
}
