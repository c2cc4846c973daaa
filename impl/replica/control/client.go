// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"dalio/protocol"
)

// Defaults of Options.
const (
	DefaultTimeout = 2 * time.Second
	DefaultStall   = 10 * time.Second
)

// maxAnswer bounds an answer in JSON: the finest digests are the longest.
const maxAnswer = 1 << 20

// Options configure a Client; the zero value is good.
type Options struct {
	// Timeout bounds a request that moves no data in bulk.
	Timeout time.Duration
	// Stall is how long the other side may neither send nor take anything. It
	// bounds the requests that do move data, together with their context.
	Stall time.Duration
	// Dial opens connections, in place of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Transport makes the requests, in place of all that; when they end is up to it.
	Transport http.RoundTripper
}

// Client speaks with one replica. It is safe for concurrent use.
type Client struct {
	address netip.AddrPort
	http    *http.Client
	timeout time.Duration
}

// NewClient returns a client of the replica at an address. It connects when it
// is used.
func NewClient(address netip.AddrPort, o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Stall == 0 {
		o.Stall = DefaultStall
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.Timeout}).DialContext
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := o.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatient{conn, o.Stall}, nil
	}
	if o.Transport != nil {
		o.Timeout = 0
	} else {
		o.Transport = &http.Transport{DialContext: dial, DisableCompression: true, IdleConnTimeout: o.Stall, MaxIdleConnsPerHost: 2}
	}
	return &Client{address: address, timeout: o.Timeout, http: &http.Client{Transport: o.Transport}}
}

// impatient is a connection that breaks when nothing moves on it.
type impatient struct {
	net.Conn
	stall time.Duration
}

func (c *impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Write also gives the answer its time, because a Read may be waiting already.
func (c *impatient) Write(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Address returns the replica's.
func (c *Client) Address() netip.AddrPort { return c.address }

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns what the replica tells of itself.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.exchange(ctx, http.MethodGet, StatusPath, nil, &s)
}

// Assign makes the replica a member. It is refused if the replica is of another
// shard, knows a later epoch, or has had a later id.
func (c *Client) Assign(ctx context.Context, a Assignment) error {
	return c.exchange(ctx, http.MethodPost, AssignPath, a, nil)
}

// Fence returns when the replica answers no message of an epoch before this one
// any more, and never will. It is refused if the replica knows a later epoch.
func (c *Client) Fence(ctx context.Context, f Fence) (Fenced, error) {
	var fenced Fenced
	return fenced, c.exchange(ctx, http.MethodPost, FencePath, f, &fenced)
}

// Open lets the replica answer messages of its epoch. It is refused if the
// replica is in another one, or is no member.
func (c *Client) Open(ctx context.Context, epoch protocol.Epoch) error {
	return c.exchange(ctx, http.MethodPost, OpenPath, Opening{epoch}, nil)
}

// Settle tells the replica what every member holds. It is refused if the replica
// is in another epoch or not open.
func (c *Client) Settle(ctx context.Context, s Settlement) error {
	return c.exchange(ctx, http.MethodPost, SettlePath, s, nil)
}

// CatchUp has the replica catch up with another; Status tells how far it is. To
// ask again for the same is to ask for nothing new, unless the catch-up failed: it
// then goes on where it was.
func (c *Client) CatchUp(ctx context.Context, r CatchUp) error {
	return c.exchange(ctx, http.MethodPost, CatchUpPath, r, nil)
}

// Expel ends the membership, if the replica has that id.
func (c *Client) Expel(ctx context.Context, id protocol.ReplicaID) error {
	return c.exchange(ctx, http.MethodPost, ExpelPath, Expulsion{id}, nil)
}

// Digests returns the digests of 2^bits ranges of the keys.
func (c *Client) Digests(ctx context.Context, epoch protocol.Epoch, bits int) (Digests, error) {
	var d Digests
	if err := c.exchange(ctx, http.MethodGet, DigestsPath+"?"+query("epoch", int(epoch), "bits", bits), nil, &d); err != nil {
		return Digests{}, err
	}
	if d.Bits != bits || len(d.Ranges) != 1<<bits {
		return Digests{}, fmt.Errorf("replica %v: %d digests of %d bits, want %d of %d", c.address, len(d.Ranges), d.Bits, 1<<bits, bits)
	}
	return d, nil
}

// Digest returns the digest of the range with the index among 2^bits.
func (c *Client) Digest(ctx context.Context, epoch protocol.Epoch, bits, index int) (RangeDigest, error) {
	var d RangeDigest
	return d, c.exchange(ctx, http.MethodGet, DigestPath+"?"+query("epoch", int(epoch), "bits", bits, "range", index), nil, &d)
}

// Recent visits the recent records, as Write messages, and then the session
// records, as WriteAck messages. A message is valid during its visit.
func (c *Client) Recent(ctx context.Context, visit func(*protocol.Message) error) error {
	return c.stream(ctx, RecentPath, visit)
}

// RecentSince is Recent, with the records above a version if that is below the
// replica's floor: what a replica may lack whose own floor it is.
func (c *Client) RecentSince(ctx context.Context, since protocol.Version, visit func(*protocol.Message) error) error {
	return c.stream(ctx, fmt.Sprintf("%s?epoch=%d&seq=%d", RecentPath, since.Epoch, since.Seq), visit)
}

// Sessions visits the session records, as WriteAck messages.
func (c *Client) Sessions(ctx context.Context, epoch protocol.Epoch, visit func(*protocol.Message) error) error {
	return c.stream(ctx, SessionsPath+"?"+query("epoch", int(epoch)), visit)
}

// Range visits the records of the range with the index among 2^bits, as Write
// messages.
func (c *Client) Range(ctx context.Context, epoch protocol.Epoch, bits, index int, visit func(*protocol.Message) error) error {
	return c.stream(ctx, RangePath+"?"+query("epoch", int(epoch), "bits", bits, "range", index), visit)
}

// Install gives records and session records to a replica that is fenced, and in
// this epoch. It is refused otherwise, because nothing may be recovered into an
// epoch that has begun.
func (c *Client) Install(ctx context.Context, epoch protocol.Epoch, messages iter.Seq[*protocol.Message]) error {
	body, in := io.Pipe()
	written := make(chan error, 1)
	go func() {
		w := NewWriter(in)
		err := writeAll(w, messages)
		in.CloseWithError(err)
		written <- err
	}()
	err := c.send(ctx, http.MethodPost, InstallPath+"?"+query("epoch", int(epoch)), "application/octet-stream", body, nil)
	// Whatever the replica did not read is not to be written.
	body.CloseWithError(errors.New("the replica has answered"))
	if writeErr := <-written; err == nil && writeErr != nil {
		err = fmt.Errorf("replica %v: %w", c.address, writeErr)
	}
	return err
}

func writeAll(w *Writer, messages iter.Seq[*protocol.Message]) error {
	for m := range messages {
		if err := w.Write(m); err != nil {
			return err
		}
	}
	return w.Close()
}

// query builds a query from names and numbers.
func query(pairs ...any) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i].(string), strconv.Itoa(pairs[i+1].(int)))
	}
	return q.Encode()
}

// exchange sends and receives JSON.
func (c *Client) exchange(ctx context.Context, method, path string, in, out any) error {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request %s: %w", path, err)
		}
		body = bytes.NewReader(b)
	}
	return c.send(ctx, method, path, "application/json", body, func(answer io.Reader) error {
		if out == nil {
			return nil
		}
		if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(out); err != nil {
			return fmt.Errorf("decode the answer: %w", err)
		}
		return nil
	})
}

func (c *Client) stream(ctx context.Context, path string, visit func(*protocol.Message) error) error {
	return c.send(ctx, http.MethodGet, path, "", nil, func(answer io.Reader) error {
		r := NewReader(answer)
		var m protocol.Message
		for {
			if err := r.Read(&m); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := visit(&m); err != nil {
				return err
			}
		}
	})
}

// send makes a request and hands its answer on, unless that is a refusal.
func (c *Client) send(ctx context.Context, method, path, kind string, body io.Reader, take func(io.Reader) error) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.address.String()+path, body)
	if err != nil {
		return fmt.Errorf("replica %v: %w", c.address, err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("replica %v: %w", c.address, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("replica %v: %s: %w", c.address, path, refusal(answer))
	}
	if take == nil {
		take = func(io.Reader) error { return nil }
	}
	if err := take(answer.Body); err != nil {
		return fmt.Errorf("replica %v: %s: %w", c.address, path, err)
	}
	// What is left is nothing, or too much; read to its end, the connection can be used again.
	_, _ = io.CopyN(io.Discard, answer.Body, bufferSize)
	return nil
}

// refusal reads an Error, or makes one of whatever else was answered.
func refusal(answer *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	e := &Error{Code: answer.StatusCode}
	if err != nil || json.Unmarshal(b, e) != nil || e.Message == "" {
		e.Message = fmt.Sprintf("%.200q", b)
	}
	return e
}
