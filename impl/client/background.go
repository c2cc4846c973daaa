// SPDX-License-Identifier: Apache-2.0

package client

import (
	"time"

	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

// receive hands every answer to its lane, until the socket is closed.
func (c *Client) receive() {
	in := datagram.NewBatch(receiveBatch)
	for {
		if err := c.conn.Read(in); err != nil {
			// Without a socket, whatever is in flight will have no answer.
			go c.Close()
			return
		}
		for i := range in.Len() {
			if from := c.coordinators.Find(in.Address(i)); from >= 0 {
				c.handle(in.Payload(i), from)
			}
		}
		c.sender.flush()
	}
}

// handle finds the lane that an answer is for. What is left of its request id is
// for the session to check.
func (c *Client) handle(payload []byte, from int) {
	var m protocol.Message
	if m.Unmarshal(payload) != nil || !c.coordinators.Answered(from, m.Epoch, m.Status == protocol.StatusOK) {
		return
	}
	if index := m.Request % stride; index < uint64(len(c.lanes)) {
		if l := c.lanes[index].Load(); l != nil {
			l.handle(&m)
		}
	}
}

// settle goes on with a write whose outcome its caller takes for unknown, for a
// bounded time. Reads of its key may be waiting for it.
func (c *Client) settle(lanes *pool, l *lane) {
	c.settleMu.Lock()
	defer c.settleMu.Unlock()
	if c.ended || c.settling == maxSettling {
		lanes.put(l)
		<-c.tokens
		return
	}
	c.settling++
	c.background.Go(func() {
		// Whatever comes of it, nobody waits to be told.
		_ = l.await(nil, time.Now().Add(c.options.SettleTimeout))
		lanes.put(l)
		<-c.tokens
		c.settleMu.Lock()
		defer c.settleMu.Unlock()
		c.settling--
	})
}

// Close ends the operations in flight, whose outcomes are then ErrNotDone or
// ErrUnknown, and closes the socket.
func (c *Client) Close() error { return c.close() }

func (c *Client) shutdown() error {
	c.settleMu.Lock()
	c.ended = true
	c.settleMu.Unlock()
	close(c.closed)
	err := c.packets.Close()
	c.background.Wait()
	return err
}
