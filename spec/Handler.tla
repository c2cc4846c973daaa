------------------------------ MODULE Handler ------------------------------
(***************************************************************************)
(* The coordinator as a total function: what it does with any packet in    *)
(* any state.  Dalio.tla and Shard.tla say what it does with the messages  *)
(* that their networks have; here is every other one too, whoever sent it, *)
(* with the reason why it is dropped.  Handled.tla and ShardHandled.tla    *)
(* have TLC compare the steps of the one with the results of the other.    *)
(*                                                                         *)
(* Results(c, p) are the results that are allowed, of which an             *)
(* implementation chooses one: which slot is opened, and which serving     *)
(* member is asked.  It is never empty.                                    *)
(*                                                                         *)
(* A state has the fields                                                  *)
(*   epoch             0 while none is open                                *)
(*   seq               the last sequence number given out                  *)
(*   known             by index, the generation of the replica that may    *)
(*                     speak, 0 if there is none                           *)
(*   members, serving  sets of indices, the second within the first        *)
(*   least             with fewer members, no new write                    *)
(*   heard             by index, when the newest message was sent that the *)
(*                     replica has answered                                *)
(*   held              when it was last looked at that none was overdue    *)
(*   entries           the session table, by slot                          *)
(* and an entry of the table                                               *)
(*   owner, nonce      a session, and the nonce that opened it             *)
(*   request           the owner's last request id, 0 for none             *)
(*   op, hash, digest  what tells a retry of it from another request       *)
(*   seq, acks, done   the slot's last write in this epoch, 0 for none     *)
(*   settled           the version of the owner's last request, if that    *)
(*                     is of an earlier epoch                              *)
(*   idle              has it been idle for as long as a session may be?   *)
(*                                                                         *)
(* A packet is a message with all fields of the wire format, and           *)
(*   form              "whole", or why it is no message for the            *)
(*                     coordinator: "foreign", "length" or "version"       *)
(*   from              a client or an index: the address that it is from.  *)
(*                     None has no port, and cannot be answered.           *)
(* Time is the number of leases, or of half ones, since some time long     *)
(* ago; it stands at Now.                                                  *)
(***************************************************************************)
EXTENDS Integers, FiniteSets

CONSTANTS
  Replicas,   \* the indices of replicas
  Slots,      \* the slots of the session table
  None,
  LastSeq,    \* the last sequence number there is
  LastCount,  \* how many sessions a slot may have in one epoch
  MaxHops,    \* how often a read is forwarded again
  Now,        \* the time
  Lease       \* for how long a member's silence is borne, 0 for ever

Zero      == <<0, 0>>       \* the version of a key never written
NoSession == <<0, 0, None>>
Nobody    == <<None, 0>>    \* the replica id of nobody: index and generation
Stamp     == IF Lease = 0 THEN 0 ELSE Now

Slot(session) == session[3]

\* Sessions of one slot are in the order of their epochs, then their numbers.
Before(s, t) == s[1] < t[1] \/ (s[1] = t[1] /\ s[2] < t[2])

Pending(e) == ~e.done

\* A packet that says nothing.
Blank ==
  [form |-> "whole", from |-> None, type |-> "none", op |-> "none",
   status |-> "none", attempt |-> 0, hops |-> 0, epoch |-> 0,
   replica |-> Nobody, version |-> Zero, digest |-> "", session |-> NoSession,
   request |-> 0, writer |-> NoSession, hash |-> "", key |-> "",
   client |-> None, value |-> "", sent |-> 0]

NoEntry == [owner |-> NoSession, nonce |-> 0, request |-> 0, op |-> "none",
            hash |-> "", digest |-> "", seq |-> 0, acks |-> {}, done |-> TRUE,
            settled |-> Zero, idle |-> FALSE]

-----------------------------------------------------------------------------
(***************************************************************************)
(* What comes out: the reason of a drop, the packet itself, left to the    *)
(* host, a message for a client, or one for each replica of a set, which   *)
(* names its receiver.                                                     *)
(***************************************************************************)
Dropped(c, reason) == {[state |-> c, out |-> [drop |-> reason]]}

Passed(c) == {[state |-> c, out |-> [pass |-> TRUE]]}

Answered(c, to, m) == {[state |-> c, out |-> [client |-> to, message |-> m]]}

Sent(c, to, m) == {[state |-> c, out |-> [replicas |-> to, message |-> m]]}

\* An answer keeps those fields of the packet that it does not change.
Answer(c, p, type, status) ==
  [p EXCEPT !.type = type, !.status = status, !.epoch = c.epoch,
            !.client = None, !.sent = 0]

AnswerWrite(c, p, to, status, version) ==
  Answered(c, to,
    [Answer(c, p, "WriteResponse", status) EXCEPT
       !.replica = Nobody, !.version = version,
       !.writer = IF status = "OK" THEN p.session ELSE NoSession,
       !.key = "", !.value = ""])

Multicast(c, p, client, seq, targets) ==
  Sent(c, targets,
    [p EXCEPT !.type = "Write", !.status = "none", !.hops = 0,
              !.epoch = c.epoch, !.replica = Nobody, !.sent = Stamp,
              !.version = <<c.epoch, seq>>, !.writer = p.session,
              !.client = client])

Ask(c, p, r, client, hops) ==
  Sent(c, {r},
    [p EXCEPT !.type = "Read", !.op = "none", !.status = "none",
              !.epoch = c.epoch, !.replica = <<r, c.known[r]>>,
              !.sent = Stamp, !.version = Zero, !.writer = NoSession,
              !.digest = "", !.value = "", !.client = client,
              !.hops = hops])

-----------------------------------------------------------------------------
(***************************************************************************)
(* A client wants a session.  A nonce that has opened one which has not    *)
(* written gets the same answer again.                                     *)
(***************************************************************************)
MayTake(c, s) ==
  LET e == c.entries[s]
  IN  \/ e.owner = NoSession
      \/ /\ ~Pending(e) /\ e.idle
         /\ e.owner[1] = c.epoch => e.owner[2] < LastCount

NextSession(c, s) ==
  LET owner == c.entries[s].owner
  IN  <<c.epoch, IF owner[1] = c.epoch THEN owner[2] + 1 ELSE 1, s>>

HandleOpenRequest(c, p) ==
  LET nonce == p.request
      again == {s \in Slots : /\ c.entries[s].owner # NoSession
                              /\ c.entries[s].nonce = nonce
                              /\ c.entries[s].request = 0}
      free  == {s \in Slots : MayTake(c, s)}
      opened(s) == [c EXCEPT !.entries[s].owner = NextSession(c, s),
                             !.entries[s].nonce = nonce,
                             !.entries[s].request = 0,
                             !.entries[s].idle = FALSE]
      answer(status, session) ==
        [Answer(c, p, "OpenResponse", status) EXCEPT !.session = session]
  IN  IF nonce = 0 \/ p.key # "" \/ p.value # "" \/ p.from = None
        THEN Dropped(c, "bad_request")
      ELSE IF again # {}
        THEN UNION {Answered(c, p.from, answer("OK", c.entries[s].owner)) :
                      s \in again}
      ELSE IF free # {}
        THEN UNION {Answered(opened(s), p.from,
                             answer("OK", NextSession(c, s))) : s \in free}
      ELSE Answered(c, p.from, answer("BUSY", NoSession))

-----------------------------------------------------------------------------
(***************************************************************************)
(* A client wants to write.  A session of an earlier epoch that is not in  *)
(* the table is adopted, unless a later one has taken its slot.            *)
(***************************************************************************)
BadRequest(p) ==
  p.request = 0 \/ p.key \in {"", "long"} \/ p.from = None

Covers(c, acks) == c.members # {} /\ c.members \subseteq acks

\* The write of slot s is committed; who has acknowledged it is no matter now.
Commit(c, s) ==
  [c EXCEPT !.entries[s].acks = {}, !.entries[s].done = TRUE]

Sequence(c, p) ==
  LET s == Slot(p.session)
  IN  [c EXCEPT !.seq = @ + 1,
                !.entries[s] = [@ EXCEPT
                   !.request = p.request, !.op = p.op, !.hash = p.hash,
                   !.digest = p.digest, !.seq = c.seq + 1, !.acks = {},
                   !.done = FALSE]]

Repeat(c, p) ==
  LET s == Slot(p.session)
      e == c.entries[s]
      say(status, version) == AnswerWrite(c, p, p.from, status, version)
  IN  IF p.op # e.op \/ p.hash # e.hash \/ p.digest # e.digest
        THEN say("REFUSED", Zero)
      ELSE IF e.seq = 0 THEN say("OK", e.settled)
      ELSE IF e.done THEN say("OK", <<c.epoch, e.seq>>)
      ELSE IF Covers(c, e.acks)
        THEN AnswerWrite(Commit(c, s), p, p.from, "OK", <<c.epoch, e.seq>>)
      ELSE IF c.members = {} THEN say("BUSY", Zero)
      ELSE Multicast(c, p, p.from, e.seq, c.members \ e.acks)

\* A request of the slot's owner.
Write(c, p) ==
  LET s    == Slot(p.session)
      e    == c.entries[s]
      used == [c EXCEPT !.entries[s].idle = FALSE]
      say(status) == AnswerWrite(used, p, p.from, status, Zero)
  IN  IF p.request < e.request THEN Dropped(c, "stale_request")
      ELSE IF p.request = e.request THEN Repeat(used, p)
      ELSE IF Pending(e) THEN say("BUSY")
      ELSE IF Cardinality(c.members) < c.least THEN say("TOO_FEW")
      ELSE IF c.members = {} \/ c.seq >= LastSeq THEN say("BUSY")
      ELSE Multicast(Sequence(used, p), p, p.from, c.seq + 1, c.members)

OfSession(c, p) ==
  LET s == Slot(p.session)
      e == c.entries[s]
      adopts == /\ p.session[1] < c.epoch /\ ~Before(p.session, e.owner)
                /\ ~Pending(e)
      adopted == [c EXCEPT !.entries[s].owner = p.session,
                           !.entries[s].nonce = 0, !.entries[s].request = 0]
  IN  IF e.owner = p.session THEN Write(c, p)
      ELSE IF adopts THEN Write(adopted, p)
      ELSE AnswerWrite(c, p, p.from, "EXPIRED", Zero)

HandleWriteRequest(c, p) ==
  IF \/ BadRequest(p) \/ p.op \notin {"put", "delete"}
     \/ (p.op = "delete" /\ p.value # "") \/ p.session = NoSession
    THEN Dropped(c, "bad_request")
  ELSE IF p.session[1] > c.epoch THEN Dropped(c, "future_epoch")
  ELSE IF Slot(p.session) \notin Slots
    THEN AnswerWrite(c, p, p.from, "EXPIRED", Zero)
  ELSE OfSession(c, p)

-----------------------------------------------------------------------------
(***************************************************************************)
(* What replicas send is of this epoch, from a replica that is known, and  *)
(* from its own address.  It tells when that replica was heard of.         *)
(***************************************************************************)
Refusal(c, p) ==
  LET r == p.replica[1]
  IN  IF p.epoch < c.epoch THEN "stale_epoch"
      ELSE IF p.epoch > c.epoch THEN "future_epoch"
      ELSE IF \/ r \notin Replicas \/ p.from # r
              \/ c.known[r] = 0 \/ c.known[r] # p.replica[2]
        THEN "unknown_replica"
      ELSE "none"

Heard(c, p) ==
  LET r == p.replica[1]
  IN  IF Lease # 0 /\ p.sent > c.heard[r] /\ p.sent <= Now
        THEN [c EXCEPT !.heard[r] = p.sent] ELSE c

FromReplica(c, p, Handle(_)) ==
  LET refusal == Refusal(c, p)
  IN  IF refusal # "none" THEN Dropped(c, refusal) ELSE Handle(Heard(c, p))

(***************************************************************************)
(* A replica acknowledges a write.  The one acknowledgement that makes the *)
(* set cover the members commits the write and becomes its answer.         *)
(***************************************************************************)
CountAck(c, p) ==
  LET s    == Slot(p.writer)
      e    == c.entries[s]
      acks == e.acks \cup {p.replica[1]}
  IN  IF e.seq # p.version[2] \/ e.seq = 0 THEN Dropped(c, "stale_ack")
      ELSE IF e.done THEN Dropped(c, "late_ack")
      ELSE IF ~Covers(c, acks)
        THEN Dropped([c EXCEPT !.entries[s].acks = acks], "acknowledged")
      ELSE IF p.client = None THEN Dropped(Commit(c, s), "unclaimed")
      ELSE AnswerWrite(Commit(c, s), p, p.client, "OK", p.version)

TakeWriteAck(c, p) ==
  IF p.key # "" \/ p.value # "" THEN Dropped(c, "bad_reply")
  ELSE IF p.version[1] # c.epoch THEN Dropped(c, "stale_ack")
  ELSE IF Slot(p.writer) \notin Slots THEN Dropped(c, "bad_session")
  ELSE CountAck(c, p)

HandleWriteAck(c, p) ==
  LET take(d) == TakeWriteAck(d, p) IN FromReplica(c, p, take)

-----------------------------------------------------------------------------
\* A client wants to read, and any serving member may be asked.
HandleReadRequest(c, p) ==
  IF BadRequest(p) \/ p.value # "" THEN Dropped(c, "bad_request")
  ELSE IF c.serving = {}
    THEN Answered(c, p.from,
           [Answer(c, p, "ReadResponse", "BUSY") EXCEPT
              !.replica = Nobody, !.key = ""])
  ELSE UNION {Ask(c, p, r, p.from, 0) : r \in c.serving}

(***************************************************************************)
(* The members that have been silent for longest, if that is for longer    *)
(* than the lease: another coordinator may have fenced them.               *)
(***************************************************************************)
Overdue(c) ==
  IF Lease = 0 THEN {}
  ELSE {r \in c.members : /\ c.heard[r] + Lease < Now
                          /\ \A q \in c.members : c.heard[r] <= c.heard[q]}

(***************************************************************************)
(* The gate.  The value of a pending version is not released: another      *)
(* member is asked that may hold an older one, or the write is driven      *)
(* again.  Any other value is released if no member was overdue at some    *)
(* moment after the read had been forwarded.  If that is not known, and    *)
(* one is now, that one is asked, as its answer will renew the lease.      *)
(***************************************************************************)
Gate(c, p, e) ==
  LET behind == c.serving \ e.acks
      write  == [p EXCEPT !.session = p.writer, !.request = e.request,
                          !.digest = e.digest, !.attempt = 0]
  IN  IF p.hops >= MaxHops \/ behind = {}
        THEN Multicast(c, write, None, e.seq, c.members \ e.acks)
      ELSE UNION {Ask(c, p, r, p.client, p.hops + 1) :
                    r \in {q \in behind : \/ q # p.replica[1]
                                          \/ behind = {q}}}

Release(c, p) ==
  LET asked(r) == p.hops < MaxHops /\ r \in c.serving
      value    == Answer(c, p, "ReadResponse", "OK")
  IN  IF p.sent < c.held THEN Answered(c, p.client, value)
      ELSE IF Overdue(c) = {}
        THEN Answered([c EXCEPT !.held = Stamp], p.client, value)
      ELSE UNION {IF asked(r) THEN Ask(c, p, r, p.client, p.hops + 1)
                  ELSE Dropped(c, "lease_expired") : r \in Overdue(c)}

BadReply(c, p) ==
  \/ p.key \in {"", "long"} \/ p.op \notin {"none", "put", "delete"}
  \/ (p.version[1] = 0) # (p.version[2] = 0) \/ p.version[1] > c.epoch
  \/ p.client = None

OfThisEpoch(c, p) ==
  LET s == Slot(p.writer)
      e == c.entries[s]
  IN  IF e.seq < p.version[2] THEN Dropped(c, "unknown_version")
      ELSE IF e.seq > p.version[2] \/ e.done THEN Release(c, p)
      ELSE IF Covers(c, e.acks) THEN Release(Commit(c, s), p)
      ELSE Gate(c, p, e)

TakeReadReply(c, p) ==
  IF BadReply(c, p) THEN Dropped(c, "bad_reply")
  ELSE IF p.replica[1] \notin c.serving THEN Dropped(c, "not_serving")
  ELSE IF p.version[1] # c.epoch THEN Release(c, p)
  ELSE IF Slot(p.writer) \notin Slots THEN Dropped(c, "bad_session")
  ELSE OfThisEpoch(c, p)

HandleReadReply(c, p) ==
  LET take(d) == TakeReadReply(d, p) IN FromReplica(c, p, take)

-----------------------------------------------------------------------------
(***************************************************************************)
(* Probes are no part of the protocol: anybody may ask for the epoch, and  *)
(* whether values may be released; and the control plane asks replicas.    *)
(***************************************************************************)
AnswerProbe(c, p) ==
  IF p.key # "" \/ p.value # "" \/ p.from = None THEN Dropped(c, "bad_request")
  ELSE Answered(c, p.from,
         [p EXCEPT !.type = "ProbeReply", !.epoch = c.epoch,
                   !.status = IF Overdue(c) = {} THEN "OK" ELSE "BUSY",
                   !.replica = Nobody, !.client = None])

TakeProbeReply(c, p) == FromReplica(c, p, Passed)

Results(c, p) ==
  CASE p.form = "foreign" -> Passed(c)
    [] p.form = "length"  -> Dropped(c, "bad_length")
    [] p.form = "version" -> Dropped(c, "bad_version")
    [] c.epoch = 0        -> Dropped(c, "closed")
    [] p.type = "OpenRequest"  -> HandleOpenRequest(c, p)
    [] p.type = "WriteRequest" -> HandleWriteRequest(c, p)
    [] p.type = "WriteAck"     -> HandleWriteAck(c, p)
    [] p.type = "ReadRequest"  -> HandleReadRequest(c, p)
    [] p.type = "ReadReply"    -> HandleReadReply(c, p)
    [] p.type = "Probe"        -> AnswerProbe(c, p)
    [] p.type = "ProbeReply"   -> TakeProbeReply(c, p)
    [] OTHER                   -> Dropped(c, "bad_type")
=============================================================================
