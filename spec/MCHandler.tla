----------------------------- MODULE MCHandler -----------------------------
(***************************************************************************)
(* The pinned packets, and the states in which the coordinator is given    *)
(* each of them.  States are reached from Starts by some of the packets    *)
(* and by what a control plane does.  For every state TLC prints the       *)
(* results that Handler.tla allows for every packet; checker/conform has   *)
(* the reference model and the bytecode handle the same.                   *)
(***************************************************************************)
EXTENDS Handler, Sequences, TLC

CONSTANTS
  Starts,     \* the states to start with
  Shards,     \* what the control plane may make of members and serving ones
  Requests,   \* the last request id
  Nonces,     \* the last nonce of an open
  Numbers,    \* the sequence numbers that writes may get
  Counts,     \* the numbers of the sessions of a slot
  Times,      \* when the messages were sent that replicas answer
  Looks,      \* are states told apart by when the lease was found to hold?
  HopCounts,  \* of the replies to reads
  Closes      \* may the epoch be closed?

VARIABLE c

Epoch == 2    \* the current one, which has one before and one after it

-----------------------------------------------------------------------------
(***************************************************************************)
(*                               The packets                               *)
(*                                                                         *)
(* Clients are a and b, and only the messages of a client say a: b is      *)
(* whom a replica's message is to be answered to.                          *)
(***************************************************************************)

\* What nobody looks at in a request is not to get through.
Dirty(p) ==
  [p EXCEPT !.status = "OK", !.hops = 5, !.epoch = Epoch + 1,
            !.replica = <<None, 1>>, !.attempt = 7,
            !.version = <<Epoch, 1>>, !.writer = <<Epoch, 1, None>>,
            !.client = "b", !.sent = Now]

Opens ==
  LET open(n) == [Blank EXCEPT !.type = "OpenRequest", !.from = "a",
                               !.request = n]
  IN  {open(n) : n \in 0..Nonces} \cup
      {Dirty([open(1) EXCEPT !.session = <<Epoch, 1, None>>]),
       [open(1) EXCEPT !.key = "k"], [open(1) EXCEPT !.value = "v"],
       [open(1) EXCEPT !.from = None]}

\* The others differ from the first in one thing each: the digest (two keys
\* have one hash, or a value is another one), the hash, the operation.
Payloads ==
  {[op |-> "put", hash |-> "k", digest |-> "d", key |-> "k", value |-> "v"],
   [op |-> "put", hash |-> "k", digest |-> "e", key |-> "j", value |-> "v"],
   [op |-> "put", hash |-> "j", digest |-> "d", key |-> "j", value |-> "v"],
   [op |-> "delete", hash |-> "k", digest |-> "d", key |-> "k",
    value |-> ""]}

First == CHOOSE x \in Payloads : x.digest = "d" /\ x.hash = "k" /\ x.op = "put"

WriteOf(session, n, x) ==
  [Blank EXCEPT !.type = "WriteRequest", !.from = "a", !.session = session,
     !.request = n, !.op = x.op, !.hash = x.hash, !.digest = x.digest,
     !.key = x.key, !.value = x.value]

\* None is a slot that the table lacks.
Sessions ==
  {<<e, n, s>> : e \in {Epoch - 1, Epoch}, n \in Counts, s \in Slots} \cup
  {<<Epoch + 1, 1, s>> : s \in Slots \cup {None}} \cup
  {<<e, 1, None>> : e \in {Epoch - 1, Epoch}}

WriteRequests ==
  LET odd(s) == WriteOf(<<Epoch, 1, s>>, 1, First)
  IN  {WriteOf(session, n, x) : session \in Sessions, n \in 1..Requests,
                                x \in Payloads} \cup
      UNION {{Dirty(odd(s)), [odd(s) EXCEPT !.request = 0],
              [odd(s) EXCEPT !.key = ""], [odd(s) EXCEPT !.key = "long"],
              [odd(s) EXCEPT !.from = None], [odd(s) EXCEPT !.op = "none"],
              [odd(s) EXCEPT !.op = "odd"], [odd(s) EXCEPT !.op = "delete"],
              [odd(s) EXCEPT !.session = NoSession]} :
               s \in Slots \cup {None}}

ReadRequests ==
  LET read(n) == [Blank EXCEPT !.type = "ReadRequest", !.from = "a",
                    !.request = 1, !.attempt = n, !.hash = "k", !.key = "k"]
  IN  {read(n) : n \in 0..2} \cup
      {Dirty(read(0)), [read(0) EXCEPT !.request = 0],
       [read(0) EXCEPT !.key = ""], [read(0) EXCEPT !.key = "long"],
       [read(0) EXCEPT !.from = None], [read(0) EXCEPT !.value = "v"]}

\* The same from the wrong epoch, replica or address.
Strange(p) ==
  LET r == p.replica[1]
  IN  {[p EXCEPT !.epoch = @ - 1], [p EXCEPT !.epoch = @ + 1],
       [p EXCEPT !.replica = <<r, 0>>], [p EXCEPT !.replica = <<r, 2>>],
       [p EXCEPT !.from = "a"], [p EXCEPT !.replica = Nobody]} \cup
      {[p EXCEPT !.from = q] : q \in Replicas \ {r}}

FromMember(r, type) ==
  [Blank EXCEPT !.type = type, !.from = r, !.epoch = Epoch,
                !.replica = <<r, 1>>]

WriteAcks ==
  LET ack(r, q, s) ==
        [FromMember(r, "WriteAck") EXCEPT
           !.version = <<Epoch, q>>, !.session = <<Epoch, 1, s>>,
           !.writer = <<Epoch, 1, s>>, !.request = 1, !.op = "put",
           !.hash = "k", !.digest = "d", !.client = "b"]
      odd(r, s) == ack(r, 1, s)
  IN  UNION {{ack(r, q, s), [ack(r, q, s) EXCEPT !.client = None]} :
               r \in Replicas, q \in {0} \cup Numbers, s \in Slots \cup {None}} \cup
      UNION {Strange(odd(r, s)) \cup
             {[odd(r, s) EXCEPT !.sent = t] : t \in Times} \cup
             {[odd(r, s) EXCEPT !.version = <<e, 1>>] :
                e \in {Epoch - 1, Epoch + 1}} \cup
             {[odd(r, s) EXCEPT !.key = "k"], [odd(r, s) EXCEPT !.value = "v"]} :
               r \in Replicas, s \in Slots \cup {None}}

ReadReplies ==
  LET reply(r, version, s) ==
        [FromMember(r, "ReadReply") EXCEPT
           !.version = version, !.writer = <<Epoch, 1, s>>, !.request = 1,
           !.op = "put", !.hash = "k", !.digest = "d", !.key = "k",
           !.value = "v", !.client = "b", !.attempt = 3,
           !.session = <<Epoch, 1, None>>]
      odd(r, s) == reply(r, <<Epoch, 1>>, s)
  IN  {[reply(r, v, s) EXCEPT !.hops = h] :
         r \in Replicas, s \in Slots \cup {None}, h \in HopCounts,
         v \in {<<Epoch - 1, 1>>} \cup {<<Epoch, q>> : q \in Numbers}} \cup
      UNION {{[reply(r, Zero, None) EXCEPT !.op = "none", !.writer = NoSession,
                 !.value = "", !.digest = "", !.sent = t, !.hops = h] :
                t \in Times, h \in HopCounts} : r \in Replicas} \cup
      UNION {Strange(odd(r, s)) \cup
             {[odd(r, s) EXCEPT !.version = v] :
                v \in {<<0, 1>>, <<Epoch, 0>>, <<Epoch + 1, 1>>}} \cup
             {[odd(r, s) EXCEPT !.sent = t] : t \in Times} \cup
             {[odd(r, s) EXCEPT !.key = ""], [odd(r, s) EXCEPT !.key = "long"],
              [odd(r, s) EXCEPT !.op = "odd"],
              [odd(r, s) EXCEPT !.op = "delete", !.value = ""],
              [odd(r, s) EXCEPT !.client = None]} :
               r \in Replicas, s \in Slots \cup {None}}

Probes ==
  LET probe == [Blank EXCEPT !.type = "Probe", !.from = "a", !.request = 1,
                             !.sent = 1]
  IN  {probe, Dirty(probe), [probe EXCEPT !.from = None],
       [probe EXCEPT !.key = "k"], [probe EXCEPT !.value = "v"]} \cup
      UNION {LET answer == FromMember(r, "ProbeReply")
             IN  Strange(answer) \cup {[answer EXCEPT !.sent = t] : t \in Times} :
               r \in Replicas}

\* What is for others than a coordinator, or for nobody; and what is no message.
Misled ==
  {[WriteOf(<<Epoch, 1, None>>, 1, First) EXCEPT !.type = type] :
     type \in {"OpenResponse", "ReadResponse", "WriteResponse", "Read", "Write",
               "none", "odd"}} \cup
  {[WriteOf(<<Epoch, 1, None>>, 1, First) EXCEPT !.form = form] :
     form \in {"foreign", "length", "version"}}

Alphabet ==
  Opens \cup WriteRequests \cup ReadRequests \cup WriteAcks \cup ReadReplies
  \cup Probes \cup Misled

-----------------------------------------------------------------------------
(***************************************************************************)
(*                                The states                               *)
(***************************************************************************)
AllServe(set) == [known |-> [r \in Replicas |-> IF r \in set THEN 1 ELSE 0],
                  members |-> set, serving |-> set]

OpenWith(entries) ==
  [epoch |-> Epoch, seq |-> 0, known |-> AllServe(Replicas).known,
   members |-> Replicas, serving |-> Replicas, least |-> 1,
   heard |-> [r \in Replicas |-> Now], held |-> 0, entries |-> entries]

Fresh == OpenWith([s \in Slots |-> NoEntry])

\* What an earlier epoch has left of a session that has written.
Left(n, s) ==
  [NoEntry EXCEPT !.owner = <<Epoch - 1, n, s>>, !.request = 2, !.op = First.op,
     !.hash = First.hash, !.digest = First.digest, !.settled = <<Epoch - 1, 1>>]

OnlyFresh == {Fresh}

Recovered == {OpenWith([s \in Slots |-> Left(1, s)])}

\* Near the last numbers, and at them: of writes, and of the sessions of a slot.
Ending ==
  LET last(s) == [NoEntry EXCEPT !.owner = <<Epoch, LastCount, s>>, !.nonce = 1]
  IN  {[OpenWith([s \in Slots |-> last(s)]) EXCEPT !.seq = LastSeq - 1],
       [OpenWith([s \in Slots |-> Left(1, s)]) EXCEPT !.seq = LastSeq],
       [Fresh EXCEPT !.seq = LastSeq], [Fresh EXCEPT !.seq = LastSeq, !.least = 0]}

AtTheEnd ==
  {[OpenWith([s \in Slots |-> Left(1, s)]) EXCEPT !.seq = n] :
     n \in {LastSeq - 1, LastSeq}}

\* A shard that must have two members.
Strict == {[Fresh EXCEPT !.least = 2]}

-----------------------------------------------------------------------------
Everybody == {AllServe(Replicas)}

AllOrFewer == {AllServe(set) : set \in SUBSET Replicas}

SomeServe ==
  {[AllServe(set) EXCEPT !.serving = some] :
     <<set, some>> \in {<<x, y>> \in (SUBSET Replicas) \X (SUBSET Replicas) :
                          y \subseteq x}}

AllOrNoneServe == Everybody \cup {[AllServe(Replicas) EXCEPT !.serving = {}]}

\* Besides: some that are known but no members, or have joined again.
SomeKnown ==
  SomeServe \cup
  {[AllServe(set) EXCEPT !.known = [r \in Replicas |-> 1]] :
     set \in SUBSET Replicas} \cup
  {[AllServe(Replicas) EXCEPT !.known[r] = 2] : r \in Replicas}

-----------------------------------------------------------------------------
(***************************************************************************)
(*                                The steps                                *)
(***************************************************************************)
WithinBounds(d) ==
  /\ d.seq \in {c.seq} \cup Numbers
  /\ d.held # 0 => Looks
  /\ \A s \in Slots : d.entries[s].owner[2] \in {0} \cup Counts

\* One payload is enough to move by.
Moves(p) == p.type = "WriteRequest" =>
              p.op = First.op /\ p.hash = First.hash /\ p.digest = First.digest

HandlePacket(p) ==
  \E r \in Results(c, p) : WithinBounds(r.state) /\ c' = r.state

Tick ==
  c' = [c EXCEPT !.entries = [s \in Slots |->
          [@[s] EXCEPT !.idle = c.entries[s].owner # NoSession]]]

PassTime ==
  /\ Lease # 0
  /\ LET before(t) == IF t > 0 THEN t - 1 ELSE 0
     IN  c' = [c EXCEPT !.heard = [r \in Replicas |-> before(c.heard[r])],
                        !.held = before(@)]

\* The index of a former member that some pending write counts is free for nobody.
\* Who joins is taken to be heard of just now.
InUse(r) == \E s \in Slots : Pending(c.entries[s]) /\ r \in c.entries[s].acks

Change(shard) ==
  /\ \A r \in Replicas : shard.known[r] \in {0, c.known[r]} \/ ~InUse(r)
  /\ c' = [c EXCEPT !.known = shard.known, !.members = shard.members,
                    !.serving = shard.serving,
                    !.heard = [r \in Replicas |->
                       IF shard.known[r] \in {0, c.known[r]} THEN c.heard[r]
                       ELSE Now]]

Close ==
  /\ Closes
  /\ c' = [c EXCEPT !.epoch = 0, !.known = [r \in Replicas |-> 0],
                    !.members = {}, !.serving = {}, !.least = 0]

Init == c \in Starts

Next ==
  \/ \E p \in Alphabet : Moves(p) /\ HandlePacket(p)
  \/ c.epoch # 0 /\ (Tick \/ PassTime \/ Close)
  \/ c.epoch # 0 /\ \E shard \in Shards : Change(shard)

Spec == Init /\ [][Next]_c

Symmetry == Permutations(Replicas) \cup Permutations(Slots)

-----------------------------------------------------------------------------
(***************************************************************************)
(* What is printed: the packets once, numbered, and then for each state    *)
(* the results of each, as what they change of the state and the packet.   *)
(***************************************************************************)
RECURSIVE Listed(_)
Listed(set) ==
  IF set = {} THEN <<>>
  ELSE LET p == CHOOSE x \in set : TRUE IN <<p>> \o Listed(set \ {p})

Packets == Listed(Alphabet)

Changed(old, new) ==
  LET fields == {f \in DOMAIN old : old[f] # new[f]}
  IN  [f \in fields |-> new[f]]

Shown(p, r) ==
  [state |-> Changed(c, r.state),
   out |-> IF "message" \in DOMAIN r.out
             THEN [r.out EXCEPT !.message = Changed(p, @)] ELSE r.out]

ASSUME PrintT("PACKETS " \o ToString(Packets))

Printed ==
  PrintT("RESULTS " \o ToString(<<c,
    [i \in DOMAIN Packets |->
       {Shown(Packets[i], r) : r \in Results(c, Packets[i])}]>>))
=============================================================================
