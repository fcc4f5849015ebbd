package natstape

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"

	"tapedeck/internal/tape"
)

// JetStream keeps the messages of a stream in files N.blk, each about 8 MiB, of records one after the other, little endian:
//
//	 0  4  length of the record; its highest bit is set when there are headers
//	 4  8  sequence; bit 63 marks an erased message, bit 62 a tombstone
//	12  8  time
//	20  2  length of the subject
//	22     subject
//	       length of the headers (4 bytes) and headers, if there are any
//	       payload
//	    8  HighwayHash-64 of all but the lengths, under a key made of the stream's name and N
//
// (server/filestore.go of nats-server 2.15.2, which go.mod pins; TestBlocksAreReadAsWritten fails when it changes.)
const (
	blockHeader   = 22
	blockHash     = 8
	headerBit     = 1 << 31
	erasedBit     = 1 << 63
	tombstoneBit  = 1 << 62
	maxBlockEntry = 32 << 20
	indexFile     = "index.db"
)

// blockEntry is a record of a block file.
type blockEntry struct {
	offset, end int // of it in the file
	sequence    uint64
	time        int64
	subject     []byte
	payload     []byte
	message     bool // false for erased messages and tombstones
}

// blockFile is a file of messages.
type blockFile struct {
	path   string
	number uint32
	size   int64
}

// listBlocks returns the block files of a folder in order. No folder has none.
func listBlocks(dir string) ([]blockFile, error) {
	des, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the tape's blocks: %w", err)
	}
	var blocks []blockFile
	for _, de := range des {
		name, isBlock := strings.CutSuffix(de.Name(), ".blk")
		n, err := strconv.ParseUint(name, 10, 32)
		if !isBlock || err != nil {
			continue
		}
		st, err := de.Info()
		if err != nil {
			return nil, fmt.Errorf("list the tape's blocks: %w", err)
		}
		blocks = append(blocks, blockFile{filepath.Join(dir, de.Name()), uint32(n), st.Size()})
	}
	slices.SortFunc(blocks, func(a, b blockFile) int { return int(int64(a.number) - int64(b.number)) })
	return blocks, nil
}

// blockReader reads the records of a block.
type blockReader struct {
	data []byte
	at   int
	hash hash.Hash64
	sum  [blockHash]byte
}

// newBlockReader returns a reader of the content of the block of a number.
func newBlockReader(data []byte, number uint32) *blockReader {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", streamName, number))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(fmt.Sprintf("BUG: the key of a hash: %v", err)) // it has the right length
	}
	return &blockReader{data: data, hash: h}
}

// next returns the record at the current place and goes on to the one after it. At the end it returns false. After an error
// the place is unchanged; resync finds the next good one.
func (r *blockReader) next() (blockEntry, bool, error) {
	if r.at >= len(r.data) {
		return blockEntry{}, false, nil
	}
	e, err := r.parse(r.at)
	if err != nil {
		return blockEntry{}, false, err
	}
	r.at = e.end
	return e, true, nil
}

var (
	errBlockFrame = errors.New("not the beginning of a record")
	errBlockHash  = errors.New("wrong checksum of a record")
)

func (r *blockReader) parse(at int) (blockEntry, error) {
	le := binary.LittleEndian
	b := r.data[at:]
	if len(b) < blockHeader+blockHash {
		return blockEntry{}, errBlockFrame
	}
	size, subjectLen := le.Uint32(b), int(le.Uint16(b[20:]))
	head := subjectLen
	hasHeaders := size&headerBit != 0
	size &^= headerBit
	if hasHeaders {
		head += 4
	}
	if size > maxBlockEntry || int(size) > len(b) || int(size) < blockHeader+head+blockHash {
		return blockEntry{}, errBlockFrame
	}
	body := b[blockHeader : int(size)-blockHash]
	payload := body[head:]
	r.hash.Reset()
	r.hash.Write(b[4:20])
	r.hash.Write(body[:subjectLen])
	r.hash.Write(payload) // the headers with it
	if !bytes.Equal(r.hash.Sum(r.sum[:0]), b[int(size)-blockHash:size]) {
		return blockEntry{}, errBlockHash
	}
	if hasHeaders {
		n := le.Uint32(body[subjectLen:])
		if uint64(n) > uint64(len(payload)) {
			return blockEntry{}, errBlockFrame // the one length that the hash doesn't cover
		}
		payload = payload[n:]
	}
	seq := le.Uint64(b[4:])
	return blockEntry{
		offset: at, end: at + int(size), sequence: seq &^ (erasedBit | tombstoneBit), time: int64(le.Uint64(b[12:])),
		subject: body[:subjectLen], payload: payload, message: seq&(erasedBit|tombstoneBit) == 0 && seq != 0,
	}, nil
}

// resync goes to the next place where a whole record begins, after a bad one; false when there is none in the block. A
// record's own length is tried first; when that is what was damaged, every place is.
func (r *blockReader) resync() bool {
	if len(r.data)-r.at >= 4 {
		if size := int(binary.LittleEndian.Uint32(r.data[r.at:]) &^ headerBit); size >= blockHeader+blockHash && size < len(r.data)-r.at {
			if _, err := r.parse(r.at + size); err == nil {
				r.at += size
				return true
			}
		}
	}
	for at := r.at + 1; at+blockHeader+blockHash <= len(r.data); at++ {
		if r.plausible(at) {
			if _, err := r.parse(at); err == nil {
				r.at = at
				return true
			}
		}
	}
	return false
}

// plausible tells, without hashing, whether a record of the tape may begin at a place: all its subjects begin alike.
func (r *blockReader) plausible(at int) bool {
	const prefix = "tape."
	b := r.data[at+blockHeader:]
	return len(b) > len(prefix) && string(b[:len(prefix)]) == prefix
}

// cutTail removes from the block files all messages beyond a position: they were never acknowledged, so nobody saw them. The
// server must be down. It frees space, so that it works on a full disk as well.
func cutTail(dir string, last tape.Position) error {
	blocks, err := listBlocks(blockDir(dir))
	if err != nil {
		return err
	}
	for _, b := range slices.Backward(blocks) {
		keep, reachesBack, err := b.upTo(last)
		if err != nil {
			return err
		}
		if keep < b.size {
			if err := truncate(b.path, keep); err != nil {
				return err
			}
		}
		if reachesBack {
			break
		}
	}
	// What JetStream noted about the blocks, and batches that it would finish on its own after a restart, are out of date.
	if err := os.Remove(filepath.Join(blockDir(dir), indexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the index of the blocks: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(streamDir(dir), "batches")); err != nil {
		return fmt.Errorf("remove unfinished batches: %w", err)
	}
	if err := syncDir(blockDir(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sync the folder of the blocks: %w", err)
	}
	return nil
}

// upTo returns how much of a block to keep so that nothing beyond a position is in it, and whether it has a message up to
// that position.
func (b *blockFile) upTo(last tape.Position) (keep int64, reachesBack bool, err error) {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return 0, false, fmt.Errorf("read a block: %w", err)
	}
	r := newBlockReader(data, b.number)
	for {
		e, ok, err := r.next()
		if err != nil {
			// Damage in the middle stays for others to see; a torn end goes.
			if at := r.at; !r.resync() {
				return int64(at), reachesBack, nil
			}
			continue
		}
		if !ok {
			return int64(len(data)), reachesBack, nil
		}
		if e.sequence > uint64(last) {
			return int64(e.offset), reachesBack, nil
		}
		reachesBack = true
	}
}

func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cut a block: %w", err)
	}
	if err := errors.Join(f.Truncate(size), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cut a block: %w", err)
	}
	return nil
}

// sequenceOf reads the sequence in the header of a record.
func sequenceOf(header []byte) uint64 {
	return binary.LittleEndian.Uint64(header[4:]) &^ (erasedBit | tombstoneBit)
}

// stat returns the present size of the file.
func (b *blockFile) stat() (int64, error) {
	st, err := os.Stat(b.path)
	if err != nil {
		return 0, fmt.Errorf("look at a block: %w", err)
	}
	return st.Size(), nil
}
