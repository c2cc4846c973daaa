// SPDX-License-Identifier: Apache-2.0

package sim

// Coverage counts what was met.
type Coverage struct {
	// Actions are those of the specification, Situations what its hazards need,
	// Faults the kinds, Drops the reasons and Activities what the bytecode counts.
	Actions, Situations, Faults, Drops, Activities map[string]int
}

func newCoverage() *Coverage {
	return &Coverage{Actions: map[string]int{}, Situations: map[string]int{}, Faults: map[string]int{}, Drops: map[string]int{}, Activities: map[string]int{}}
}

func (c *Coverage) action(name string) { c.Actions[name]++ }
func (c *Coverage) met(s situation)    { c.Situations[string(s)]++ }
func (c *Coverage) fault(kind string)  { c.Faults[kind]++ }

// Add adds another's counts.
func (c *Coverage) Add(o *Coverage) {
	for _, pair := range [][2]map[string]int{{c.Actions, o.Actions}, {c.Situations, o.Situations}, {c.Faults, o.Faults}, {c.Drops, o.Drops}, {c.Activities, o.Activities}} {
		for name, n := range pair[1] {
			pair[0][name] += n
		}
	}
}

// situation is something that a hazard needs to be met with.
type situation string

// The situations. What a hazard would do with its cure gone is for the audit to see;
// these say that it had the opportunity.
const (
	lateAck       situation = "an acknowledgement of a session's write before comes while one is pending"
	ackTwice      situation = "an acknowledgement comes twice while others are missing"
	readOvertaken situation = "a write overtakes a read that was sent before it was sequenced"
	gatedRead     situation = "a reply is gated"
	holderLost    situation = "a replica is lost that holds a pending write which others lack"
	newerPending  situation = "a write is committed while a newer one of its key is pending"
	someHave      situation = "a write has been acknowledged by some members, and not by all"
	copyPending   situation = "a copy of a request comes while its write is pending"
	outOfOrder    situation = "a replica gets a write older than what it holds of the key"
	putAfter      situation = "a late copy of a put comes to a key that was deleted"
	oldRequest    situation = "a request comes after its session's next one"
	redriven      situation = "a gated reply has its write sent again"
	partialEpoch  situation = "an epoch ends while some replicas hold a pending write and others lack it"
	slotShared    situation = "a session gets another slot than its first, which somebody has"
	noSlot        situation = "an open finds no free slot"
	installed     situation = "a recovery gives a replica what it lacks"
	lowerSeq      situation = "a write comes whose number is lower than that of an earlier epoch's"
	twoServe      situation = "a coordinator that was replaced goes on"
	ackOfEpoch    situation = "an acknowledgement of an earlier epoch comes"
	covered       situation = "a write is committed because a member was removed"
	indexAgain    situation = "an index is given to another member"
	whileJoining  situation = "a write is committed while a replica catches up"
	superseded    situation = "a write is sequenced while an older one of its key is pending"
	tooFew        situation = "a write is told TOO_FEW, and sequenced later"
	cameBack      situation = "a replica comes back before it is taken out"
	belowMark     situation = "a write comes that is below a replica's collect mark"
	goneSession   situation = "a request comes of a session that has lost its slot"
	deadRequest   situation = "a request of a dead control plane is done"
	unfenced      situation = "an epoch is recovered without a member in sync that nobody has fenced"
	removedLately situation = "a coordinator is replaced just after a member was removed"
	supersededEnd situation = "an epoch ends while a pending write has been superseded"
	retryClosed   situation = "a retry comes before its epoch is open"
	surplus       situation = "a replica joins again with what nobody else has"
	joinerFirst   situation = "a joining replica gets a write before a member in sync has it"
	joinerAtEnd   situation = "an epoch ends while a replica is joining"
	grownPending  situation = "a write is committed that a member has to acknowledge which joined after it was sequenced"
	nobodyHas     situation = "a write is sent again that no replica has"
	busyOpen      situation = "an open is told BUSY, and its write is sequenced later"
	collected     situation = "a replica joins again with a put whose tombstone others have collected"
	changePending situation = "the members change while writes are pending"
	toldAgain     situation = "a write comes again that was told BUSY or TOO_FEW"
	staleSwap     situation = "a change of the configuration comes too late"
	staleAnswer   situation = "an answer of a coordinator that was replaced comes to a client"
	leaseRanOut   situation = "a reply comes when the lease has run out"
	adoptedOld    situation = "a session of an earlier epoch gets its slot back"
	powerInSync   situation = "power is lost while a write is made durable"
	adoptedKernel situation = "a control plane adopts a data plane that serves"
)

// hazards has the situations of each hazard, by the numbers of spec/README.md.
var hazards = [...][]situation{
	1: {lateAck}, 2: {ackTwice}, 3: {readOvertaken}, 4: {gatedRead}, 5: {gatedRead, holderLost}, 6: {newerPending}, 7: {someHave},
	8: {copyPending}, 9: {outOfOrder}, 10: {putAfter}, 11: {oldRequest}, 12: {redriven}, 13: {partialEpoch}, 14: {slotShared},
	15: {noSlot}, 16: {installed}, 17: {lowerSeq}, 18: {twoServe, staleAnswer}, 19: {ackOfEpoch}, 20: {covered}, 21: {indexAgain},
	22: {whileJoining}, 23: {superseded}, 24: {tooFew}, 25: {cameBack, powerInSync}, 26: {belowMark}, 27: {goneSession, adoptedOld},
	28: {deadRequest, staleSwap, adoptedKernel}, 29: {unfenced, leaseRanOut}, 30: {removedLately}, 31: {supersededEnd}, 32: {outOfOrder},
	33: {retryClosed}, 34: {surplus}, 35: {joinerFirst}, 36: {joinerAtEnd}, 37: {grownPending}, 38: {nobodyHas}, 39: {busyOpen},
	40: {collected}, 41: {changePending}, 42: {toldAgain},
}

// situations lists all that must be met.
func situations() (all []string) {
	seen := map[situation]bool{}
	for _, needed := range hazards {
		for _, s := range needed {
			if !seen[s] {
				seen[s] = true
				all = append(all, string(s))
			}
		}
	}
	return all
}
