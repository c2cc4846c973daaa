------------------------------- MODULE State -------------------------------
(***************************************************************************)
(* What Dalio.tla is about: its constants and variables, the entries of    *)
(* the session table, the messages, and the history that Register.tla is   *)
(* told.  There is no action here.                                         *)
(***************************************************************************)
EXTENDS Integers, FiniteSets

CONSTANTS
  Clients, Keys, Values, Absent, None,  \* as in Register.tla
  Replicas,      \* the ids of the members; each must acknowledge every write
  Serving,       \* the members that may be asked to read
  Slots,         \* the entries of the session table
  Epoch,         \* the epoch, a positive number
  LastSeq,       \* the last sequence number there is
  LastCount,     \* how many sessions a slot may have in one epoch
  MaxHops,       \* how often a gated read is forwarded again
  Wanted(_, _),  \* Wanted(c, n): the calls that client c may make as its nth
  Quitters,      \* the clients that may abandon a call
  MayRefuse,     \* may a write be refused for a passing reason?
  Once(_),       \* is this message received at most once? (see there)
  Losses,        \* how many messages may be lost for good
  Collects,      \* may replicas collect tombstones?
  Exact          \* does the model judge histories by Linearizable.tla?

\* Cures.  The rule is kept where the constant is TRUE.
CONSTANTS
  Gate,             \* a value is released only once it is committed
  GateReplies,      \* which is seen when the reply comes, not when it is asked
  AllMembers,       \* a commit needs every member, not just one
  AckSet,           \* acknowledgements are a set of replicas, not a count
  AckOwnVersion,    \* an acknowledgement counts for its own version only
  ClearOwnVersion,  \* a commit settles its own version, not all of the key
  AnswerCommitted,  \* a write is answered when it is committed, not before
  MarkFirst,        \* a write is entered as pending before it is multicast
  OneEntry,         \* a session's last write and a pending write are one entry
  OwnEntry,         \* no other session writes in a session's entry
  EnterAll,         \* a write without an entry is refused, not multicast
  VersionCompare,   \* a replica applies a write only if it is newer
  AckStale,         \* a replica acknowledges writes that it does not apply
  Tombstones,       \* a deleted key keeps the version of the delete
  CollectSettled,   \* it is collected below every pending write only
  StaleBelowMark,   \* and a write up to where that was done is stale
  Dedup,            \* a request gets one version, however often it comes
  IgnoreOld,        \* a request older than the session's last is ignored
  FreshSessions,    \* a session id is never given out again
  ReclaimIdle,      \* only an entry without a pending write is reclaimed
  KeepWord,         \* a reclaimed entry keeps the word of its last write
  NeverAbort,       \* no timer gives up a pending write
  KeepUnheld,       \* not even one that no member holds
  BusyIsUnknown,    \* BUSY does not tell that a write did not happen
  ExpiredIsUnknown, \* nor does EXPIRED
  Retries,          \* a client repeats a request that is not answered
  Redrive,          \* a value that stays gated is multicast again
  RedriveAtOnce     \* also when there is no other serving member to ask

VARIABLES
  messages,    \* the network: a set that only grows, but for Once and Lose
  losses,      \* how many messages may still be lost
  nextSeq,     \* coordinator: the last sequence number given out
  entries,     \* coordinator: the session table, which is the pending table
  minted,      \* coordinator: the sessions that each slot has had
  unpublished, \* coordinator: entries multicast but not entered (~MarkFirst)
  store,       \* replicas: the newest write of each key
  collect,     \* replicas: the mark up to which tombstones may be gone
  sessions,    \* clients: the session that each one has opened
  requests,    \* clients: the id of the last request
  calls,       \* clients: the last call of each, as in Register.tla
  \* History, read by no action: what Register.tla is told.
  sequenced,   \* every write that was ever given a version
  committed,   \* the versions of those that were committed
  floors,      \* for an open read, the version current when it was invoked
  possible     \* for each key, the ways of Linearizable.tla

network     == <<messages, losses>>
coordinator == <<nextSeq, entries, minted, unpublished>>
replicas    == <<store, collect>>
clients     == <<sessions, requests, calls, floors, possible>>
history     == <<sequenced, committed>>
vars        == <<network, coordinator, replicas, clients, history>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* Versions, in the order of their epochs first.  A session id names the   *)
(* epoch in which it was given out, a number that tells it from the other  *)
(* sessions of its slot, and the slot.                                     *)
(***************************************************************************)
Zero == <<0, 0>>  \* the version of a key never written

Newer(v, w) == v[1] > w[1] \/ (v[1] = w[1] /\ v[2] > w[2])

Session(n, s) == <<Epoch, n, s>>
Slot(session) == session[3]

Contents == Values \cup {Absent}  \* a delete is the write of Absent

NothingStored == [version |-> Zero, value |-> Absent, writer |-> None]

(***************************************************************************)
(* An entry: its owner and the nonce that opened it; the owner's last      *)
(* request with its payload; and the word, that is seq, acks and done, of  *)
(* the last write in this slot, whoever owned it.  Within a slot seq only  *)
(* grows, and moves on only from a write that is done: this is what the    *)
(* gate relies on.                                                         *)
(***************************************************************************)
NoEntry == [owner |-> None, nonce |-> None, request |-> 0, key |-> None,
            value |-> None, seq |-> 0, acks |-> {}, done |-> TRUE]

Pending(e) == ~e.done

Reclaimable(e) == ~Pending(e) \/ ~ReclaimIdle

(***************************************************************************)
(* Messages.  Sender and receiver are told by the type; the client is the  *)
(* return address, None where nobody waits for an answer.                  *)
(*                                                                         *)
(*   OpenRequest    client -> coordinator   nonce                          *)
(*   OpenResponse   coordinator -> client   nonce, status, session         *)
(*   ReadRequest    client -> coordinator   request, key                   *)
(*   Read           coordinator -> replica  request, key, hops             *)
(*   ReadReply      replica -> coordinator  same, version, value, writer   *)
(*   ReadResponse   coordinator -> client   request, status, value         *)
(*   WriteRequest   client -> coordinator   session, request, key, value   *)
(*   Write          coordinator -> replica  same, version                  *)
(*   WriteAck       replica -> coordinator  session, request, version      *)
(*   WriteResponse  coordinator -> client   session, request, status       *)
(*                                                                         *)
(* A message that was sent stays in the network: it may be received late,  *)
(* twice, out of order or never: loss, duplication, delay and reordering   *)
(* come for free.  A message for which Once holds is spent when it is      *)
(* received, for one of two reasons.  Liveness needs it for all messages:  *)
(* only then does a loss matter, and only Retry can make up for it.  And   *)
(* it keeps models small, for the messages of reads.  Nothing is missed by *)
(* that: an answer to a read comes of one chain of messages from its       *)
(* request, and no other chain changes the coordinator or a replica,       *)
(* except by sending a Write again that is in the network anyway.          *)
(***************************************************************************)
Send(ms) == messages' = messages \cup ms /\ UNCHANGED losses

Handle(m, ms) ==
  /\ messages' = (IF Once(m) THEN messages \ {m} ELSE messages) \cup ms
  /\ UNCHANGED losses

\* To pass on ms and change nothing else, or to drop m, is a step only if it
\* makes a difference to the network.
Forward(m, ms) ==
  (Once(m) \/ ~(ms \subseteq messages)) /\ Handle(m, ms)

Drop(m) == Forward(m, {})

Received(type) == {m \in messages : m.type = type}

ReadRequest(c, n, k) ==
  [type |-> "ReadRequest", client |-> c, request |-> n, key |-> k]

OpenRequest(c, n) ==
  [type |-> "OpenRequest", client |-> c, nonce |-> <<c, n>>]

WriteRequest(c, session, n, k, v) ==
  [type |-> "WriteRequest", client |-> c, session |-> session,
   request |-> n, key |-> k, value |-> v]

OpenResponse(m, status, session) ==
  [type |-> "OpenResponse", client |-> m.client, nonce |-> m.nonce,
   status |-> status, session |-> session]

ReadTo(r, m, hops) ==
  [type |-> "Read", epoch |-> Epoch, replica |-> r, client |-> m.client,
   request |-> m.request, key |-> m.key, hops |-> hops]

ReadResponse(m, status, v) ==
  [type |-> "ReadResponse", client |-> m.client, request |-> m.request,
   status |-> status, value |-> v]

Writes(targets, client, session, request, version, k, v) ==
  {[type |-> "Write", epoch |-> Epoch, replica |-> r, client |-> client,
    session |-> session, request |-> request, version |-> version,
    key |-> k, value |-> v] : r \in targets}

WriteResponse(m, status) ==
  [type |-> "WriteResponse", client |-> m.client, session |-> m.session,
   request |-> m.request, status |-> status]

-----------------------------------------------------------------------------
(***************************************************************************)
(* History.  The value of a register is that of its newest committed       *)
(* version; a commit lets every older write of the key that was sequenced  *)
(* and has not taken effect do so just before it.                          *)
(***************************************************************************)
Newest(k) ==
  LET vs == {w.version : w \in {x \in sequenced : x.key = k}} \cap committed
  IN  IF vs = {} THEN Zero ELSE CHOOSE v \in vs : \A w \in vs : ~Newer(w, v)

ValueOf(v) ==
  IF v = Zero THEN Absent ELSE (CHOOSE w \in sequenced : w.version = v).value

TookEffect(c) ==
  /\ calls[c].op = "write" /\ calls[c].status \in {"open", "unknown"}
  /\ \E w \in sequenced : /\ w.session = sessions[c]
                          /\ w.request = requests[c]
                          /\ ~Newer(w.version, Newest(calls[c].key))

Candidates(c) ==
  IF calls[c].op = "read" /\ calls[c].status = "open"
    THEN LET k == calls[c].key
         IN  {ValueOf(floors[c])} \cup
             {w.value : w \in {x \in sequenced :
                                 /\ x.key = k
                                 /\ Newer(x.version, floors[c])
                                 /\ ~Newer(x.version, Newest(k))}}
    ELSE {}

Judge == INSTANCE Linearizable

-----------------------------------------------------------------------------
EpochNumbers == {0, Epoch}
Versions     == EpochNumbers \X (0..LastSeq)
SessionIds   == {Epoch} \X (1..LastCount) \X Slots

IsEntry(e) ==
  /\ e.owner \in SessionIds \cup {None}
  /\ e.nonce = None \/ (e.nonce[1] \in Clients /\ e.nonce[2] \in Nat)
  /\ e.request \in Nat
  /\ e.key \in Keys \cup {None}
  /\ e.value \in Contents \cup {None}
  /\ e.seq \in 0..LastSeq
  /\ e.acks \subseteq Replicas \cup (1..Cardinality(Replicas))
  /\ e.done \in BOOLEAN

MessageTypes ==
  {"OpenRequest", "OpenResponse", "ReadRequest", "Read", "ReadReply",
   "ReadResponse", "WriteRequest", "Write", "WriteAck", "WriteResponse"}

TypeOK ==
  /\ \A m \in messages : /\ m.type \in MessageTypes
                          /\ m.client \in Clients \cup {None}
  /\ losses \in 0..Losses
  /\ nextSeq \in 0..LastSeq
  /\ \A s \in Slots : IsEntry(entries[s])
  /\ minted \in [Slots -> 0..LastCount]
  /\ \A s \in Slots : \A e \in unpublished[s] : IsEntry(e)
  /\ \A r \in Replicas, k \in Keys :
       /\ store[r][k].version \in Versions
       /\ store[r][k].value \in Contents
       /\ store[r][k].writer \in SessionIds \cup {None}
  /\ collect \in [Replicas -> Versions]
  /\ sessions \in [Clients -> SessionIds \cup {None}]
  /\ requests \in [Clients -> Nat]
  /\ DOMAIN calls = Clients
  /\ \A w \in sequenced : w.version \in Versions
  /\ committed \subseteq {w.version : w \in sequenced}
  /\ floors \in [Clients -> Versions]
  /\ DOMAIN possible = Keys
=============================================================================
