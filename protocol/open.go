// SPDX-License-Identifier: Apache-2.0

package protocol

// HandleOpenRequest gives a client a session, or answers BUSY when every slot
// it may choose from is taken. Its answer to a repeated nonce is the same
// session as long as that has not written yet.
func (c *Coordinator) HandleOpenRequest(m Message, from Address) Output {
	if m.Request == 0 || len(m.Key)+len(m.Value) != 0 || !from.valid() {
		return drop(BadRequest)
	}
	m.Type, m.Status, m.Session, m.Epoch, m.Client, m.Sent = OpenResponse, StatusBusy, 0, c.Epoch, Address{}, 0
	window := min(OpenWindow, len(c.Sessions))
	slotAt := func(i int) int { return int((m.Request + uint64(i)) & uint64(len(c.Sessions)-1)) }
	for i := range window {
		e := &c.Sessions[slotAt(i)]
		if e.Owner != 0 && e.Nonce == m.Request && e.Request == 0 {
			m.Status, m.Session = StatusOK, e.Owner
			return Output{Message: &m, To: from}
		}
	}
	for i := range window {
		slot := slotAt(i)
		if id, ok := c.nextSession(slot); ok {
			e := &c.Sessions[slot]
			e.Owner, e.Nonce, e.Request, e.Tick = id, m.Request, 0, c.Tick
			m.Status, m.Session = StatusOK, id
			break
		}
	}
	return Output{Message: &m, To: from}
}

// nextSession returns the id that an open may give to the slot, if the slot is
// free. A slot with a pending write never is: the gate would take its version
// for committed as soon as a newer write stood in its place.
func (c *Coordinator) nextSession(slot int) (SessionID, bool) {
	e := &c.Sessions[slot]
	epoch := c.Epoch & epochMask
	switch {
	case e.Owner == 0:
		return MintSessionID(epoch, 1, slot), true
	case e.Pending(), c.Tick-e.Tick < c.SessionTTL:
		return 0, false
	case e.Owner.Epoch() != epoch:
		return MintSessionID(epoch, 1, slot), true
	case e.Owner.Count() == maxCount:
		return 0, false
	}
	return MintSessionID(epoch, e.Owner.Count()+1, slot), true
}

// adopt gives a slot to a session of an earlier epoch of which nothing was
// recovered, so that nothing it has written can have been committed. A session
// later than the owner has taken the slot from it. In the epoch that minted it, a
// session that is not in the table has lost its slot.
func (c *Coordinator) adopt(e *SessionEntry, s SessionID) bool {
	if s.Epoch() >= c.Epoch&epochMask || s < e.Owner || e.Pending() {
		return false
	}
	e.Owner, e.Nonce, e.Request = s, 0, 0
	return true
}
