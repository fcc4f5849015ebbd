package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// patience bounds a request that reads; it is tried again by the client, attempts in all. A request that sends has more.
	patience     = 30 * time.Second
	sendPatience = 10 * time.Minute
	attempts     = 4
)

// bucket is a Place in an S3 store.
type bucket struct {
	client  *minio.Client
	name    string
	prefix  string // "" or with a slash at its end
	shown   string
	scratch string // local folder of temporary files
	blocks  *blockCache
}

// newBucket reads s3://bucket/prefix?endpoint=…&region=…&key=…&secret=…&token=….
func newBucket(u *url.URL, scratch string) (*bucket, error) {
	q := u.Query()
	for name := range q {
		switch name {
		case "endpoint", "region", "key", "secret", "token":
		default:
			return nil, fmt.Errorf("s3://%s: the parameter %q is not one of endpoint, region, key, secret, token: %w", u.Host, name, ErrURL)
		}
	}
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%s: a bucket is written as s3://bucket/prefix: %w", Mask(u.String()), ErrURL)
	}
	prefix := strings.Trim(path.Clean("/"+u.Path), "/")
	if prefix != "" {
		prefix += "/"
	}
	b := &bucket{name: u.Host, prefix: prefix, shown: Mask(u.String()), scratch: scratch, blocks: newBlockCache(cacheSize)}
	creds, err := login(q)
	if err != nil {
		return nil, fmt.Errorf("s3://%s: %w", u.Host, err)
	}
	endpoint := q.Get("endpoint")
	if endpoint == "" {
		endpoint = "https://s3.amazonaws.com"
	}
	e, err := url.Parse(endpoint)
	if err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https" || strings.Trim(e.Path, "/") != "" {
		return nil, fmt.Errorf("s3://%s: the endpoint is not a URL such as https://s3.example.com: %w", u.Host, ErrURL)
	}
	b.client, err = minio.New(e.Host, &minio.Options{
		Creds: creds, Secure: e.Scheme == "https", Region: q.Get("region"), Transport: transport(), MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("s3://%s: %w: %w", u.Host, ErrURL, err)
	}
	return b, nil
}

// login returns the credentials that the URL names, and otherwise those of the environment (AWS_ACCESS_KEY_ID and its
// companions).
func login(q url.Values) (*credentials.Credentials, error) {
	var parts [3]string
	for i, name := range []string{"key", "secret", "token"} {
		v, err := secret(name, q.Get(name))
		if err != nil {
			return nil, err
		}
		parts[i] = v
	}
	switch {
	case parts[0] == "" && parts[1] == "" && parts[2] == "":
		return credentials.NewEnvAWS(), nil
	case parts[0] == "" || parts[1] == "":
		return nil, fmt.Errorf("key and secret go together: %w", ErrURL)
	}
	return credentials.NewStaticV4(parts[0], parts[1], parts[2]), nil
}

// transport is Go's own, which minds the environment's proxies, with bounds for a server that does not answer.
func transport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = patience
	t.DisableCompression = true // a range of a compressed answer would be another one
	return t
}

// String names the bucket.
func (b *bucket) String() string { return b.shown }

// key returns the name of an object. A name that leads out of the prefix is refused.
func (b *bucket) key(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." {
		return "", fmt.Errorf("archive %s: %q: %w", b.shown, name, fs.ErrInvalid)
	}
	return b.prefix + name, nil
}

// Create makes a temporary file in the scratch folder.
func (b *bucket) Create(name string) (*os.File, error) {
	if err := os.MkdirAll(b.scratch, 0o700); err != nil {
		return nil, fmt.Errorf("archive %s: %w", b, err)
	}
	f, err := os.OpenFile(filepath.Join(b.scratch, path.Base(name)), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", b, err)
	}
	return f, nil
}

// Keep sends the file, with a checksum that the server holds it to, and asks what the server has then.
func (b *bucket) Keep(ctx context.Context, f *os.File, name string) (err error) {
	defer func() { err = errors.Join(err, Discard(f)) }()
	key, err := b.key(name)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	sent, err := b.client.PutObject(ctx, b.name, key, io.NewSectionReader(f, 0, size), size, minio.PutObjectOptions{
		ContentType: "application/vnd.apache.parquet", SendContentMd5: true, DisableMultipart: true,
	})
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", name, b, err)
	}
	has, err := b.client.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil {
		return fmt.Errorf("send %s to %s: ask for it: %w", name, b, err)
	}
	if has.Size != size || has.ETag != sent.ETag {
		return fmt.Errorf("send %s to %s: sent %d bytes as %s, it has %d as %s", name, b, size, sent.ETag, has.Size, has.ETag)
	}
	return nil
}

// Open asks for the size of an object.
func (b *bucket) Open(ctx context.Context, name string) (File, error) {
	key, err := b.key(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	info, err := b.client.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("open %s of %s: %w", name, b, missing(err))
	}
	return &object{bucket: b, key: key, tag: info.ETag, size: info.Size}, nil
}

// missing makes an error that says that there is no such object one of a missing file, and one that says that the key may not do this one of
// permission.
func missing(err error) error {
	if err == nil {
		return nil
	}
	switch minio.ToErrorResponse(err).Code {
	case minio.NoSuchKey, minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case minio.AccessDenied:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return err
}

// Remove removes an object.
func (b *bucket) Remove(ctx context.Context, name string) error {
	key, err := b.key(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := missing(b.client.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{})); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s of %s: %w", name, b, err)
	}
	return nil
}

// Sweep removes the files of the scratch folder.
func (b *bucket) Sweep() error {
	entries, err := os.ReadDir(b.scratch)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("archive %s: %w", b, err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			if err := os.Remove(filepath.Join(b.scratch, e.Name())); err != nil {
				return fmt.Errorf("archive %s: %w", b, err)
			}
		}
	}
	return nil
}

// Close does nothing: connections that are idle end by themselves.
func (*bucket) Close() error { return nil }

// object is an object that is open to be read.
type object struct {
	bucket *bucket
	key    string
	tag    string
	size   int64
}

// Size returns the length of the object in bytes.
func (o *object) Size() int64 { return o.size }

// Close does nothing: an object has no connection of its own.
func (*object) Close() error { return nil }

// ReadAt reads through a cache of blocks: who reads columns asks for many small pieces that are near each other.
func (o *object) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at %d: %w", o.key, off, fs.ErrInvalid)
	}
	for n < len(p) && off < o.size {
		block, err := o.block(off/blockSize, min(off+int64(len(p)-n), o.size))
		if err != nil {
			return n, err
		}
		at := off % blockSize
		if at >= int64(len(block)) {
			return n, io.ErrUnexpectedEOF
		}
		m := copy(p[n:], block[at:])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// block returns a block of the object. When it has to be fetched, so are those behind it that a read up to end needs, a few at a time.
func (o *object) block(index, end int64) ([]byte, error) {
	if b := o.bucket.blocks.get(blockKey{o.key, o.tag, index}); b != nil {
		return b, nil
	}
	last := min((end-1)/blockSize, index+fetchBlocks-1)
	for last > index && o.bucket.blocks.get(blockKey{o.key, o.tag, last}) != nil {
		last--
	}
	from, to := index*blockSize, min((last+1)*blockSize, o.size)
	data, err := o.fetch(from, to)
	if err != nil {
		return nil, err
	}
	var first []byte
	for i := index; i <= last; i++ {
		// Each block has memory of its own, so that one that stays does not keep its neighbours.
		piece := append([]byte(nil), data[(i-index)*blockSize:min((i-index+1)*blockSize, int64(len(data)))]...)
		o.bucket.blocks.put(blockKey{o.key, o.tag, i}, piece)
		if i == index {
			first = piece
		}
	}
	return first, nil
}

// fetch asks for the bytes from from to before to.
func (o *object) fetch(from, to int64) ([]byte, error) {
	// io.ReaderAt has no context.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var opts minio.GetObjectOptions
	if err := errors.Join(opts.SetRange(from, to-1), opts.SetMatchETag(o.tag)); err != nil {
		return nil, fmt.Errorf("read %s: %w", o.key, err)
	}
	body, err := o.bucket.client.GetObject(ctx, o.bucket.name, o.key, opts)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", o.key, o.bucket, missing(err))
	}
	data := make([]byte, to-from)
	_, err = io.ReadFull(body, data)
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read %s of %s: bytes %d to %d: %w", o.key, o.bucket, from, to, missing(err))
	}
	return data, nil
}
