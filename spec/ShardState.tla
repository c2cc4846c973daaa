----------------------------- MODULE ShardState -----------------------------
(***************************************************************************)
(* What Shard.tla is about: constants, variables, records and messages of  *)
(* a shard whose membership changes and whose coordinator is replaced.     *)
(* There is no action here.                                                *)
(*                                                                         *)
(* Dalio.tla has the data plane in full, at fixed membership and epoch.    *)
(* Here it is reduced to what a failure can make a difference to, so that  *)
(* failures can be explored at all:                                        *)
(*                                                                         *)
(* - Messages that are sent are facts; they may be received at any later   *)
(*   time, again, or never.                                                *)
(* - An answer reaches its client at once.  A later arrival would only     *)
(*   make the call longer, which allows more histories.                    *)
(* - The coordinator counts an acknowledgement when it commits: the last   *)
(*   one is the commit.                                                    *)
(* - A read has at most one reply on its way, from a replica that was      *)
(*   serving when it replied.  Of several replies only the one that is     *)
(*   released makes a difference, and any reply may be that one.           *)
(* - A crashed coordinator is one that does nothing any more.  A control   *)
(*   plane keeps what it needs in the configuration and in the kernel      *)
(*   (what it keeps besides is in control, and may be lost), so that a     *)
(*   crash between two steps and an adoption are the next step not taken.  *)
(* - A crashed replica that does not come back is one that does nothing.   *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, Sequences

CONSTANTS
  Clients, Keys, Values, Absent, None,  \* as in Register.tla
  Coordinators,
  First,         \* the coordinator of the first epoch
  Nodes,         \* the replicas; each may be a member under many ids
  Founders,      \* the members at the start
  Slots,         \* the entries of the session table
  SlotOf(_),     \* the slot of the client's session at the start, or None
  Wanted(_, _),  \* Wanted(c, n): the calls that client c may make as its nth
  LastEpoch, LastSeq,
  LastId,        \* how often a node may join
  LastCount,     \* how many sessions a slot may have in one epoch
  Removals,      \* how many members may be suspected and removed
  Crashes,       \* how many replicas may lose what they have and come back
  PowerLosses,   \* how often everything may stop at once
  MinMembers,    \* with fewer members, no new write
  Durable,       \* do replicas keep what they have through a new membership?
  Survives,      \* does a replaced coordinator go on?
  Settles,       \* is the floor moved while an epoch lasts?
  Collects,      \* are tombstones collected?
  Exact          \* does the model judge histories by Linearizable.tla?

\* Cures.  The rule is kept where the constant is TRUE.
CONSTANTS
  \* The data plane.
  Gate,            \* a value is released only once it is committed
  EpochInVersion,  \* versions are compared by epoch first
  AckEpoch,        \* an acknowledgement counts in its own epoch only
  AckSet,          \* acknowledgements are a set of ids, not a count
  CurrentMembers,  \* a commit needs the members of now, not of the sequencing
  ClearOwnVersion, \* a commit settles its own version, not all of the key
  AdoptNewer,      \* only a session newer than the slot's owner is adopted
  RecordStale,     \* a replica records the result of stale writes too
  TooFewIsUnknown, \* TOO_FEW does not tell that a write did not happen
  \* Failover.
  CompareAndSwap,  \* the configuration changes only as its changer believes
  FenceFirst,      \* the old epoch is fenced where the new one recovers
  RecoverInSync,   \* recovery reads from in-sync members only
  RecoverFirst,    \* no request is handled before recovery has finished
  Reconcile,       \* recovery copies to each member what it lacks
  InstallFirst,    \* no replica is opened before all have been reconciled
  RecoverSessions, \* recovery takes over the session records
  FloorBelowPending, \* the floor stays below every pending write
  Lease,           \* the gate closes when a member falls silent
  LeaseBySent,     \* silence counts from when the question was sent
  HeldSinceSent,   \* a lease that held counts for reads begun before that
  WaitOut,         \* a new coordinator waits for the lease to run out
  Drift,           \* and allows for clocks that drift
  PersistFirst,    \* what is acknowledged outlasts a loss of power
  \* Membership.
  Confirm,         \* no change that a predecessor asked for is made later
  MaskLast,        \* the mask shrinks after the configuration
  Barrier,         \* a change of the mask waits for running programs
  FreshIds,        \* an id is never given out again
  ServeInSync,     \* only in-sync members serve
  CatchUpFirst,    \* only a member that has caught up is in-sync
  Discard,         \* a joining replica discards what it had
  Replace,         \* ... or lets the source's records replace it
  KeepNew,         \* but not what it was sent since it joined
  RecordsTell,     \* a record copied is its writer's session record too
  ForgetId,        \* a replica that lost its data lost its id
  \* Tombstones.
  MarkStale,       \* a write up to the mark is stale, whatever is held
  KeepMark,        \* the mark outlasts a restart
  CollectInSync,   \* nothing is collected while a member catches up
  DropSurplus      \* catching up drops what the source does not hold

VARIABLES
  configs,   \* etcd: the configuration, with those of earlier epochs
  kernel,    \* coordinators: what is in the kernel, the data plane
  control,   \* coordinators: what the control plane is about to do
  silent,    \* by epoch: the ids fenced so long ago that their lease is over
  nodes,     \* replicas
  messages,  \* requests, writes and acknowledgements ever sent
  replies,   \* by client: the reply to its read
  sessions,  \* clients: their sessions
  requests,  \* clients: the id of the last request
  calls,     \* clients: the last call, as in Register.tla
  begun,     \* clients: what silent was when the read began, if one is open
  faults,    \* how much more may go wrong, and who is suspected
  \* History, read by no action.
  committed, \* the writes that were committed, or recovered
  possible   \* for each key, the ways of Linearizable.tla

clients == <<sessions, requests, calls, begun, possible>>
shard   == <<configs, control, silent>>
vars    == <<shard, kernel, nodes, messages, replies, clients, faults,
             committed>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* Versions, in the order of their epochs first.  A session id names the   *)
(* epoch in which it was given out, a number, and its slot; session ids of *)
(* one slot are ordered as versions are.                                   *)
(***************************************************************************)
Zero == <<0, 0>>  \* the version of a key never written

Newer(v, w) == v[1] > w[1] \/ (v[1] = w[1] /\ v[2] > w[2])

Outdates(v, w) == IF EpochInVersion THEN Newer(v, w) ELSE v[2] > w[2]

Session(e, n, s) == <<e, n, s>>
Slot(session) == session[3]

NoSession == <<0, 0, None>>

Contents == Values \cup {Absent}  \* a delete is the write of Absent

NothingStored == [version |-> Zero, value |-> Absent, writer |-> NoSession,
                  request |-> 0]

Newest(records) ==  \* of a set that is not empty
  CHOOSE x \in records : \A y \in records : ~Newer(y.version, x.version)

(***************************************************************************)
(* A session record: the newest request of a slot whose result a replica   *)
(* knows, with the version that the request got.                           *)
(***************************************************************************)
NothingRecorded == [session |-> NoSession, request |-> 0, version |-> Zero]

Later(x, y) ==
  \/ Newer(x.session, y.session)
  \/ x.session = y.session /\ x.request > y.request

Latest(records) ==
  CHOOSE x \in records : \A y \in records : ~Later(y, x)

\* What a replica that holds these records knows of slot s.
Told(records, s) ==
  IF RecordsTell
    THEN {[session |-> x.writer, request |-> x.request,
           version |-> x.version] : x \in {y \in records : Slot(y.writer) = s}}
    ELSE {}

(***************************************************************************)
(* An id of a member: the node, and how often it has joined.               *)
(***************************************************************************)
Id(n, k) == <<n, k>>
NodeOf(r) == r[1]

(***************************************************************************)
(* The configuration.  Every change of it is one compare-and-swap.  A      *)
(* coordinator that acts on the configuration of an epoch that has passed  *)
(* has read the last one of that epoch: only the owner changes it within   *)
(* an epoch, by one control plane at a time.                               *)
(***************************************************************************)
Epoch == Len(configs)
Config == configs[Epoch]

(***************************************************************************)
(* The data plane of a coordinator.  An entry of the session table is as   *)
(* in State.tla, without the payload and with members, the set frozen      *)
(* where CurrentMembers is broken.  lagging are the members that a running *)
(* program may not have seen yet, where Barrier is broken.                 *)
(***************************************************************************)
NoEntry == [owner |-> NoSession, request |-> 0, key |-> None, seq |-> 0,
            members |-> {}, done |-> TRUE]

Closed == [epoch |-> 0, mask |-> {}, serving |-> {}, lagging |-> {},
           seq |-> 0, entries |-> [s \in Slots |-> NoEntry],
           counts |-> [s \in Slots |-> 0]]

(***************************************************************************)
(* What a control plane is about to do: take over epoch taking (0: none),  *)
(* having collected what it recovers from some members, or make joining a  *)
(* member.                                                                 *)
(***************************************************************************)
Nothing == [records |-> [k \in Keys |-> NothingStored],
            sessions |-> [s \in Slots |-> NothingRecorded]]

Idle == [taking |-> 0, phase |-> "none", recovered |-> Nothing,
         from |-> {}, installed |-> {}, joining |-> None]

(***************************************************************************)
(* A replica.  old are the keys and slots whose contents are of an earlier *)
(* membership: they prove nothing.  Tombstones up to mark may be gone.     *)
(* snapshot is what was read from the source of a catch-up, the member     *)
(* source, and not yet applied.                                            *)
(***************************************************************************)
Blank == [id |-> None, epoch |-> 0, open |-> FALSE,
          store |-> [k \in Keys |-> NothingStored],
          sessions |-> [s \in Slots |-> NothingRecorded],
          old |-> {}, floor |-> Zero, mark |-> Zero,
          snapshot |-> Nothing, source |-> None, catchup |-> "none"]

\* The node that is r now, if it has not been lost.
Holds(r) == nodes[NodeOf(r)].id = r

(***************************************************************************)
(* Messages.                                                               *)
(***************************************************************************)
WriteRequest(c, session, n, k, v) ==
  [type |-> "WriteRequest", client |-> c, session |-> session,
   request |-> n, key |-> k, value |-> v]

Writes(targets, version, m) ==
  {[type |-> "Write", replica |-> r, epoch |-> version[1],
    version |-> version, session |-> m.session, request |-> m.request,
    key |-> m.key, value |-> m.value] : r \in targets}

WriteAck(r, m) ==
  [type |-> "WriteAck", replica |-> r, epoch |-> m.epoch,
   session |-> m.session, version |-> m.version]

Received(type) == {m \in messages : m.type = type}

Send(ms) == messages' = messages \cup ms

NobodySilent == [e \in 1..LastEpoch |-> {}]

-----------------------------------------------------------------------------
Judge == INSTANCE Linearizable

-----------------------------------------------------------------------------
Ids == Nodes \X (1..LastId)
Versions == (0..LastEpoch) \X (0..LastSeq)

IsSession(s) ==
  s = NoSession \/
  (s[1] \in 1..LastEpoch /\ s[2] \in 1..LastCount /\ s[3] \in Slots)

IsContents(x) ==
  /\ \A k \in Keys : /\ x[k].version \in Versions
                     /\ x[k].value \in Contents
                     /\ IsSession(x[k].writer)
                     /\ x[k].request \in Nat

TypeOK ==
  /\ Epoch \in 1..LastEpoch
  /\ \A e \in 1..Epoch :
       /\ configs[e].coordinator \in Coordinators
       /\ configs[e].members \subseteq Ids
       /\ configs[e].inSync \subseteq Ids
       /\ configs[e].minted \in [Nodes -> 0..LastId]
  /\ \A x \in Coordinators :
       /\ kernel[x].epoch \in 0..Epoch
       /\ kernel[x].mask \subseteq Ids /\ kernel[x].serving \subseteq Ids
       /\ kernel[x].seq \in 0..LastSeq
       /\ \A s \in Slots : LET e == kernel[x].entries[s]
                           IN  IsSession(e.owner) /\ e.seq \in 0..LastSeq
       /\ control[x].taking \in 0..Epoch
       /\ control[x].phase \in {"none", "fence", "install", "open"}
       /\ control[x].from \subseteq Ids
       /\ control[x].installed \subseteq Ids
       /\ control[x].joining \in Ids \cup {None}
  /\ \A e \in 1..LastEpoch : silent[e] \subseteq Ids
  /\ \A c \in Clients, e \in 1..LastEpoch : begun[c][e] \subseteq silent[e]
  /\ \A n \in Nodes :
       /\ nodes[n].id = None \/ nodes[n].id \in {n} \X (1..LastId)
       /\ nodes[n].epoch \in 0..Epoch
       /\ nodes[n].open \in BOOLEAN
       /\ IsContents(nodes[n].store)
       /\ nodes[n].floor \in Versions /\ nodes[n].mark \in Versions
       /\ nodes[n].old \subseteq Keys \cup Slots
       /\ nodes[n].source \in Ids \cup {None}
  /\ \A c \in Clients : sessions[c] = None \/ IsSession(sessions[c])
  /\ requests \in [Clients -> Nat]
  /\ DOMAIN calls = Clients /\ DOMAIN possible = Keys
  /\ \A c \in Clients : calls[c].op = "write" =>
       [op |-> "write", key |-> calls[c].key, value |-> calls[c].value]
         \in Wanted(c, requests[c])
  /\ faults.removals \in 0..Removals /\ faults.crashes \in 0..Crashes
  /\ faults.power \in 0..PowerLosses /\ faults.suspects \subseteq Ids
=============================================================================
