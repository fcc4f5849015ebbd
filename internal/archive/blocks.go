package archive

import (
	"container/list"
	"sync"
)

const (
	blockSize   = 256 << 10 // bytes; a request for less takes as long
	fetchBlocks = 16        // that one request asks for at most
	cacheSize   = 64 << 20  // bytes of all objects
)

// blockKey is a block of one version of an object.
type blockKey struct {
	name, tag string
	index     int64
}

// blockCache keeps the blocks that were read last.
type blockCache struct {
	mu    sync.Mutex
	limit int
	size  int
	order *list.List // of *cachedBlock, the newest first
	byKey map[blockKey]*list.Element
}

type cachedBlock struct {
	key  blockKey
	data []byte
}

func newBlockCache(limit int) *blockCache {
	return &blockCache{limit: limit, order: list.New(), byKey: make(map[blockKey]*list.Element)}
}

// get returns a block, nil when it is not here. It must not be changed.
func (c *blockCache) get(k blockKey) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedBlock).data //nolint:errcheck // put here by put
}

func (c *blockCache) put(k blockKey, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey[k] != nil {
		return // another reader was as fast
	}
	c.byKey[k] = c.order.PushFront(&cachedBlock{k, data})
	for c.size += len(data); c.size > c.limit; {
		last := c.order.Back()
		b := c.order.Remove(last).(*cachedBlock) //nolint:errcheck // put here above
		delete(c.byKey, b.key)
		c.size -= len(b.data)
	}
}
