-------------------------------- MODULE Dalio --------------------------------
(***************************************************************************)
(* The replication protocol of one shard: clients, one coordinator and the *)
(* replicas, on a network that loses, duplicates, delays and reorders.     *)
(*                                                                         *)
(* The coordinator gives each write a version, enters it in its table as   *)
(* pending, and only then multicasts it.  A replica applies a write if it  *)
(* is newer than what it holds, and acknowledges it in any case.  When the *)
(* acknowledgements of a write cover the members it is committed, and its  *)
(* client is answered.  A read goes to any serving member; its reply comes *)
(* back through the coordinator, whose gate releases no value before the   *)
(* version of that value is committed.                                     *)
(*                                                                         *)
(* Membership and epoch are fixed.  Messages carry the epoch and replica   *)
(* ids nevertheless, and handlers look at them, so that both may change    *)
(* later without another protocol.                                         *)
(*                                                                         *)
(* Every rule that cures a hazard has a constant of its own, in State.tla. *)
(* All are TRUE in the protocol; the configurations in must_fail/ turn one *)
(* off and show what a client then sees.                                   *)
(*                                                                         *)
(* The clients are in Client.tla.                                          *)
(***************************************************************************)
EXTENDS Client

-----------------------------------------------------------------------------
(***************************************************************************)
(*                             The coordinator                             *)
(*                                                                         *)
(* A client wants a session.  If its nonce has opened one that has written *)
(* nothing yet, this is a repetition and gets the same answer.  Otherwise  *)
(* it gets an entry that is free, or reclaims one that has been idle for   *)
(* long, which is any whose write is done: time is not modelled.  The      *)
(* entry keeps its word, by which the gate knows that everything written   *)
(* in this slot is committed.  If no entry is free and none idle for long  *)
(* enough, the answer is BUSY.                                             *)
(***************************************************************************)
HandleOpenRequest(m) ==
  LET again == {s \in Slots : /\ entries[s].owner # None
                              /\ entries[s].nonce = m.nonce
                              /\ entries[s].request = 0}
      Id(s) == Session(IF FreshSessions THEN minted[s] + 1 ELSE 1, s)
      Taken(s) ==
        LET e == IF KeepWord /\ ~Pending(entries[s]) THEN entries[s]
                 ELSE NoEntry
        IN  [NoEntry EXCEPT !.owner = Id(s), !.nonce = m.nonce,
                            !.seq = e.seq, !.acks = e.acks]
  IN  /\ \/ /\ again # {}
            /\ \E s \in again :
                 Forward(m, {OpenResponse(m, "OK", entries[s].owner)})
            /\ UNCHANGED <<entries, minted>>
         \/ /\ again = {}
            /\ \E s \in Slots :
                 /\ Reclaimable(entries[s]) /\ minted[s] < LastCount
                 /\ entries' = [entries EXCEPT ![s] = Taken(s)]
                 /\ minted' = [minted EXCEPT ![s] = @ + 1]
                 /\ Handle(m, {OpenResponse(m, "OK", Id(s))})
         \/ /\ again = {} /\ \A s \in Slots : entries[s].owner # None
            /\ Forward(m, {OpenResponse(m, "BUSY", None)})
            /\ UNCHANGED <<entries, minted>>
      /\ UNCHANGED <<nextSeq, unpublished, replicas, clients, history>>

(***************************************************************************)
(* A client wants to write.  A request that its session has made before    *)
(* keeps its version: if the write is done the answer is repeated, if not  *)
(* the write goes again to the members that have not acknowledged it.  A   *)
(* new one gets the next version, is entered, and only then is multicast,  *)
(* unless the session's last write is still pending, or nothing can be     *)
(* sequenced now (no members, no numbers left): BUSY.                      *)
(***************************************************************************)
Refuse(m, status) ==
  Forward(m, {WriteResponse(m, status)}) /\ UNCHANGED <<coordinator, history>>

Repeat(m, e) ==
  /\ Forward(m, Writes(Replicas \ e.acks, m.client, m.session, m.request,
                       <<Epoch, e.seq>>, m.key, m.value))
  /\ UNCHANGED <<coordinator, history>>

\* Entry e with m as its last write, which gets the next version.
Record(m, e) == [e EXCEPT !.request = m.request, !.key = m.key,
                          !.value = m.value, !.seq = nextSeq + 1, !.acks = {}]

GiveVersion(m) ==
  /\ nextSeq < LastSeq
  /\ nextSeq' = nextSeq + 1
  /\ sequenced' = sequenced \cup
       {[version |-> <<Epoch, nextSeq + 1>>, session |-> m.session,
         request |-> m.request, key |-> m.key, value |-> m.value]}
  /\ UNCHANGED <<minted, committed>>

WritesOf(m) == Writes(Replicas, m.client, m.session, m.request,
                      <<Epoch, nextSeq + 1>>, m.key, m.value)

Sequence(m, e) ==
  LET entry == [Record(m, e) EXCEPT !.done = FALSE]
  IN  /\ GiveVersion(m)
      /\ IF MarkFirst
           THEN /\ entries' = [entries EXCEPT ![Slot(m.session)] = entry]
                /\ UNCHANGED unpublished
           ELSE /\ unpublished' = [unpublished EXCEPT
                                     ![Slot(m.session)] = @ \cup {entry}]
                /\ UNCHANGED entries
      /\ Handle(m, WritesOf(m))

\* Only where EnterAll is broken: the write goes out without an entry.
SequenceOnly(m) ==
  GiveVersion(m) /\ Handle(m, WritesOf(m)) /\ UNCHANGED <<entries, unpublished>>

\* Only where OneEntry is broken: the session's half of the entry is filled, and
\* the other half finds no room.  The write is not multicast, until it is repeated.
RecordOnly(m, e) ==
  /\ GiveVersion(m)
  /\ entries' = [entries EXCEPT ![Slot(m.session)] = Record(m, e)]
  /\ Handle(m, {WriteResponse(m, "BUSY")})
  /\ UNCHANGED unpublished

OnlyRecorded(e) == ~OneEntry /\ e.done /\ e.acks = {}

\* The entry for m.  Where OwnEntry is broken, whoever writes takes the slot over.
EntryFor(m) ==
  LET e == entries[Slot(m.session)]
  IN  IF OwnEntry \/ e.owner = m.session THEN e
      ELSE [NoEntry EXCEPT !.owner = m.session]

HandleWriteRequest(m) ==
  LET e     == EntryFor(m)
      known == e.owner = m.session
      again == Dedup /\ m.request = e.request
      old   == m.request < e.request /\ IgnoreOld
  IN  /\ \/ /\ ~known
            /\ IF EnterAll THEN Refuse(m, "EXPIRED") ELSE SequenceOnly(m)
         \/ /\ known /\ old
            /\ Drop(m) /\ UNCHANGED <<coordinator, history>>
         \/ /\ known /\ again
            /\ IF m.key # e.key \/ m.value # e.value
                 THEN Refuse(m, "REFUSED")
               ELSE IF Pending(e) \/ OnlyRecorded(e) THEN Repeat(m, e)
               ELSE Refuse(m, "OK")
         \/ /\ known /\ ~old /\ ~again
            /\ \/ ~Pending(e) /\ Sequence(m, e)
               \/ ~Pending(e) /\ ~OneEntry /\ RecordOnly(m, e)
               \/ /\ Pending(e) \/ nextSeq = LastSeq \/ MayRefuse
                  /\ Refuse(m, "BUSY")
      /\ UNCHANGED <<replicas, clients>>

(***************************************************************************)
(* Only where MarkFirst is broken: the entry of a write that was multicast *)
(* a while ago reaches the table.                                          *)
(***************************************************************************)
PublishLate(s) ==
  \E e \in unpublished[s] :
    /\ entries' = [entries EXCEPT ![s] = e]
    /\ unpublished' = [unpublished EXCEPT ![s] = @ \ {e}]
    /\ UNCHANGED <<network, nextSeq, minted, replicas, clients, history>>

(***************************************************************************)
(* Only where NeverAbort or KeepUnheld is broken: a timer gives up the     *)
(* pending write in slot s, or does so if no member holds it.  The session *)
(* expires, and the entry is free again.                                   *)
(***************************************************************************)
Held(e) == \E r \in Replicas : store[r][e.key].version = <<Epoch, e.seq>>

AbortPending(s) ==
  /\ Pending(entries[s])
  /\ ~NeverAbort \/ (~KeepUnheld /\ ~Held(entries[s]))
  /\ entries' = [entries EXCEPT ![s].owner = None, ![s].done = TRUE]
  /\ UNCHANGED <<network, nextSeq, minted, unpublished, replicas, clients,
                 history>>

(***************************************************************************)
(* A replica acknowledges a write.  This counts only for the version that  *)
(* the slot holds now, and once for each replica; when the acknowledging   *)
(* set covers the members the write is committed, and its client answered, *)
(* if the acknowledgement tells whom.                                      *)
(***************************************************************************)
HandleWriteAck(m) ==
  LET s      == Slot(m.session)
      e      == entries[s]
      own    == m.version = <<Epoch, e.seq>> \/ ~AckOwnVersion
      acks   == IF AckSet THEN e.acks \cup {m.replica}
                ELSE e.acks \cup {Cardinality(e.acks) + 1}
      covers == Cardinality(acks) = Cardinality(Replicas) \/ ~AllMembers
      settled == {s} \cup
        IF ClearOwnVersion THEN {}
        ELSE {t \in Slots : Pending(entries[t]) /\ entries[t].key = e.key}
      superseded == \E t \in Slots : /\ entries[t].key = e.key
                                     /\ entries[t].seq > e.seq
      answer == IF m.client = None THEN {} ELSE {WriteResponse(m, "OK")}
  IN  /\ m.epoch = Epoch /\ m.replica \in Replicas
      /\ IF ~own \/ ~Pending(e)
           THEN /\ Drop(m)
                /\ UNCHANGED <<entries, committed>>
         ELSE IF ~covers
           THEN /\ entries' = [entries EXCEPT ![s].acks = acks]
                /\ Handle(m, IF superseded /\ ~AnswerCommitted THEN answer
                             ELSE {})
                /\ UNCHANGED committed
         ELSE /\ entries' = [t \in Slots |->
                   IF t \in settled
                     THEN [entries[t] EXCEPT !.acks = Replicas, !.done = TRUE]
                     ELSE entries[t]]
              /\ committed' = committed \cup
                   {<<Epoch, entries[t].seq>> : t \in settled}
              /\ Handle(m, answer)
      /\ UNCHANGED <<nextSeq, minted, unpublished, replicas, clients, sequenced>>

(***************************************************************************)
(* A client wants to read.  Any serving member will do.  Only where        *)
(* GateReplies is broken is the table looked at now: if no write of the    *)
(* key is pending, the read is marked, and its reply will pass.            *)
(***************************************************************************)
Passed == MaxHops + 1  \* in place of the hops of such a read

HandleReadRequest(m) ==
  LET clean == \A s \in Slots : Pending(entries[s]) => entries[s].key # m.key
      hops  == IF clean /\ ~GateReplies THEN Passed ELSE 0
  IN  /\ IF Serving = {} THEN Forward(m, {ReadResponse(m, "BUSY", Absent)})
         ELSE \E r \in Serving : Forward(m, {ReadTo(r, m, hops)})
      /\ UNCHANGED <<coordinator, replicas, clients, history>>

(***************************************************************************)
(* The gate.  A replica's reply to a read carries the version of its value *)
(* and the session that wrote it.  The word of that session's slot tells   *)
(* all: if it holds a newer version the slot has moved on, which it does   *)
(* only after a commit; if it holds this one the word says whether it is   *)
(* committed.  An older one is impossible (TableKnows below): such a reply *)
(* is dropped.                                                             *)
(*                                                                         *)
(* A gated read is forwarded again, to a serving member that has not       *)
(* acknowledged the version in its way and so may hold an older one.  When *)
(* the read has hopped enough, or no serving member is left to ask, every  *)
(* member that matters may hold the value while only acknowledgements are  *)
(* missing, and the writer may be gone.  Then the value, which the reply   *)
(* carries, is multicast again under its own version, with nobody to       *)
(* answer; the read itself is dropped, and the client's retry will find    *)
(* the version committed.                                                  *)
(***************************************************************************)
Release(m) == Forward(m, {ReadResponse(m, "OK", m.value)})

AskAgain(m, asked) ==
  \E r \in asked : /\ asked = {m.replica} \/ r # m.replica
                   /\ Forward(m, {ReadTo(r, m, m.hops + 1)})

MulticastAgain(m, e) ==
  Forward(m, IF Redrive
               THEN Writes(Replicas \ e.acks, None, m.writer, e.request,
                           m.version, m.key, m.value)
               ELSE {})

HandleReadReply(m) ==
  /\ m.epoch = Epoch /\ m.replica \in Serving
  /\ IF \/ m.version = Zero \/ m.version[1] < Epoch
        \/ ~Gate \/ m.hops = Passed
       THEN Release(m)
       ELSE LET e     == entries[Slot(m.writer)]
                asked == Serving \ e.acks
            IN  IF e.seq > m.version[2] THEN Release(m)
                ELSE IF e.seq < m.version[2] THEN Drop(m)
                ELSE IF ~Pending(e) THEN Release(m)
                ELSE IF m.hops < MaxHops /\ asked # {} THEN AskAgain(m, asked)
                ELSE IF m.hops = MaxHops \/ RedriveAtOnce
                  THEN MulticastAgain(m, e)
                  ELSE Drop(m)
  /\ UNCHANGED <<coordinator, replicas, clients, history>>

-----------------------------------------------------------------------------
(***************************************************************************)
(*                              The replicas                               *)
(*                                                                         *)
(* A write arrives at replica r, which applies it if it is newer than what *)
(* the key holds, and acknowledges it in any case: the acknowledgement     *)
(* says that r holds this version or a newer one.  A delete leaves a       *)
(* tombstone, a version without a value, so that an older write arriving   *)
(* late is seen to be older; where the tombstone has been collected, the   *)
(* mark up to which that was done says so.                                 *)
(***************************************************************************)
HandleWrite(r, m) ==
  LET held  == store[r][m.key].version
      stale == ~Newer(m.version, collect[r]) /\ StaleBelowMark
      apply == ~stale /\ (Newer(m.version, held) \/ ~VersionCompare)
      ack   == [type |-> "WriteAck", epoch |-> Epoch, replica |-> r,
                client |-> m.client, session |-> m.session,
                request |-> m.request, version |-> m.version]
  IN  /\ m.epoch = Epoch /\ m.replica = r
      /\ IF apply
           THEN /\ store' = [store EXCEPT ![r][m.key] =
                     IF m.value = Absent /\ ~Tombstones THEN NothingStored
                     ELSE [version |-> m.version, value |-> m.value,
                           writer |-> m.session]]
                /\ Handle(m, {ack})
           ELSE /\ Forward(m, IF AckStale \/ m.version = held THEN {ack}
                              ELSE {})
                /\ UNCHANGED store
      /\ UNCHANGED <<coordinator, collect, clients, history>>

\* A read arrives at replica r, which tells what it holds.
HandleRead(r, m) ==
  LET held == store[r][m.key]
  IN  /\ m.epoch = Epoch /\ m.replica = r
      /\ Forward(m, {[type |-> "ReadReply", epoch |-> Epoch, replica |-> r,
                      client |-> m.client, request |-> m.request,
                      key |-> m.key, hops |-> m.hops,
                      version |-> held.version, value |-> held.value,
                      writer |-> held.writer]})
      /\ UNCHANGED <<coordinator, replicas, clients, history>>

(***************************************************************************)
(* Replica r raises its mark to the version numbered seq and forgets the   *)
(* tombstones up to there.  The coordinator says how far it may go: below  *)
(* every pending write.  Whatever has a version there is committed, and    *)
(* stays so; telling r is therefore no step of its own.                    *)
(***************************************************************************)
Collected(w, mark) ==
  IF w.value = Absent /\ ~Newer(w.version, mark) THEN NothingStored ELSE w

CollectTombstones(r, seq) ==
  /\ Collects /\ seq <= nextSeq /\ Newer(<<Epoch, seq>>, collect[r])
  /\ \A s \in Slots :
       Pending(entries[s]) /\ CollectSettled => entries[s].seq > seq
  /\ collect' = [collect EXCEPT ![r] = <<Epoch, seq>>]
  /\ store' = [store EXCEPT ![r] =
                 [k \in Keys |-> Collected(@[k], <<Epoch, seq>>)]]
  /\ UNCHANGED <<network, coordinator, clients, history>>

-----------------------------------------------------------------------------
\* The network loses a message for good.
Lose(m) ==
  /\ losses > 0 /\ Once(m)
  /\ losses' = losses - 1
  /\ messages' = messages \ {m}
  /\ UNCHANGED <<coordinator, replicas, clients, history>>

Init ==
  /\ messages = {} /\ losses = Losses
  /\ nextSeq = 0
  /\ entries = [s \in Slots |-> NoEntry]
  /\ minted = [s \in Slots |-> 0]
  /\ unpublished = [s \in Slots |-> {}]
  /\ store = [r \in Replicas |-> [k \in Keys |-> NothingStored]]
  /\ collect = [r \in Replicas |-> Zero]
  /\ sessions = [c \in Clients |-> None]
  /\ requests = [c \in Clients |-> 0]
  /\ calls = [c \in Clients |-> [status |-> "idle", op |-> "none",
                                 key |-> None, value |-> None]]
  /\ sequenced = {} /\ committed = {}
  /\ floors = [c \in Clients |-> Zero]
  /\ possible = [k \in Keys |-> Judge!AtStart]

ClientStep(c) ==
  \/ \E k \in Keys : InvokeRead(c, k)
  \/ \E k \in Keys, v \in Contents : InvokeWrite(c, k, v)
  \/ Retry(c)
  \/ Abandon(c)
  \/ \E m \in Received("OpenResponse") : HandleOpenResponse(c, m)
  \/ \E m \in Received("WriteResponse") : HandleWriteResponse(c, m)
  \/ \E m \in Received("ReadResponse") : HandleReadResponse(c, m)

CoordinatorStep ==
  \/ \E m \in Received("OpenRequest") : HandleOpenRequest(m)
  \/ \E m \in Received("WriteRequest") : HandleWriteRequest(m)
  \/ \E m \in Received("WriteAck") : HandleWriteAck(m)
  \/ \E m \in Received("ReadRequest") : HandleReadRequest(m)
  \/ \E m \in Received("ReadReply") : HandleReadReply(m)
  \/ \E s \in Slots : PublishLate(s) \/ AbortPending(s)

ReplicaStep(r) ==
  \/ \E m \in Received("Write") : HandleWrite(r, m)
  \/ \E m \in Received("Read") : HandleRead(r, m)
  \/ \E seq \in 1..LastSeq : CollectTombstones(r, seq)

Next ==
  \/ \E c \in Clients : ClientStep(c)
  \/ CoordinatorStep
  \/ \E r \in Replicas : ReplicaStep(r)
  \/ \E m \in messages : Lose(m)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* Safety: what the clients see is a linearizable register for each key.
Register == INSTANCE Register WITH
  value      <- [k \in Keys |-> ValueOf(Newest(k))],
  linearized <- {c \in Clients : TookEffect(c)},
  candidates <- [c \in Clients |-> Candidates(c)]

RefinesRegister == Register!Spec

Linearizable == \A k \in Keys : possible[k] # {}

\* What the coordinator may rely on.
TableKnows ==  \* the gate never meets a version its table has not seen
  \A m \in Received("ReadReply") :
    m.version # Zero => m.version[2] <= entries[Slot(m.writer)].seq

OneVersion ==  \* a request has one version
  \A v, w \in sequenced :
    v.session = w.session /\ v.request = w.request => v = w

CommittedEverywhere ==  \* what is committed is nowhere older
  \A w \in sequenced : w.version \in committed =>
    \A r \in Replicas : \/ ~Newer(w.version, store[r][w.key].version)
                       \/ ~Newer(w.version, collect[r])

\* Liveness, where only finitely many messages are lost: every call of a client
\* that does not give up is answered.
Fairness ==
  /\ \A c \in Clients :
       /\ WF_vars(Retry(c))
       /\ WF_vars(\E m \in Received("OpenResponse") : HandleOpenResponse(c, m))
       /\ WF_vars(\E m \in Received("WriteResponse") :
                    HandleWriteResponse(c, m))
       /\ WF_vars(\E m \in Received("ReadResponse") : HandleReadResponse(c, m))
  /\ WF_vars(\E m \in Received("OpenRequest") : HandleOpenRequest(m))
  /\ WF_vars(\E m \in Received("WriteRequest") : HandleWriteRequest(m))
  /\ WF_vars(\E m \in Received("WriteAck") : HandleWriteAck(m))
  /\ WF_vars(\E m \in Received("ReadRequest") : HandleReadRequest(m))
  /\ WF_vars(\E m \in Received("ReadReply") : HandleReadReply(m))
  /\ \A r \in Replicas :
       /\ WF_vars(\E m \in Received("Write") : HandleWrite(r, m))
       /\ WF_vars(\E m \in Received("Read") : HandleRead(r, m))

LiveSpec == Spec /\ Fairness

Answered ==
  \A c \in Clients \ Quitters :
    calls[c].status = "open" ~> calls[c].status # "open"
=============================================================================
