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
(* Every rule that cures a hazard has a constant of its own (Cures below). *)
(* State.tla.  All are TRUE in the protocol; the configurations in         *)
(* must_fail/ turn one off and show what a client then sees.               *)
(***************************************************************************)
EXTENDS State

-----------------------------------------------------------------------------
(***************************************************************************)
(*                               The clients                               *)
(*                                                                         *)
(* A client has one call open at a time.  It opens a session when it first *)
(* writes; reads need none.                                                *)
(***************************************************************************)
MayInvoke(c, op, k, v) ==
  /\ calls[c].status \in {"idle", "ok", "failed"}
  /\ [op |-> op, key |-> k, value |-> v] \in Wanted(c, requests[c] + 1)

Waits(c, op) == calls[c].status = "open" /\ calls[c].op = op

Invoke(c, op, k, v) ==
  LET now == [calls EXCEPT ![c] =
                [status |-> "open", op |-> op, key |-> k, value |-> v]]
  IN  /\ calls' = now
      /\ requests' = [requests EXCEPT ![c] = @ + 1]
      /\ possible' = IF Exact
           THEN [possible EXCEPT ![k] = Judge!Invoked(@, k, now)]
           ELSE possible

Answer(c, v) ==
  LET k == calls[c].key
  IN  /\ calls' = [calls EXCEPT ![c].status = "ok", ![c].value = v]
      /\ possible' = IF Exact
           THEN [possible EXCEPT ![k] = Judge!Answered(@, c, v)]
           ELSE possible

DidNotHappen(c) ==
  LET k == calls[c].key
  IN  /\ calls' = [calls EXCEPT ![c].status = "failed"]
      /\ possible' = IF Exact
           THEN [possible EXCEPT ![k] = Judge!Failed(@, c)]
           ELSE possible

OutcomeUnknown(c) ==
  calls' = [calls EXCEPT ![c].status = "unknown"] /\ UNCHANGED possible

(***************************************************************************)
(* Client c asks for the value of k.                                       *)
(***************************************************************************)
InvokeRead(c, k) ==
  /\ MayInvoke(c, "read", k, None)
  /\ Invoke(c, "read", k, None)
  /\ Send({ReadRequest(c, requests[c] + 1, k)})
  /\ floors' = [floors EXCEPT ![c] = Newest(k)]
  /\ UNCHANGED <<coordinator, store, sessions, history>>

(***************************************************************************)
(* Client c writes v to k, or deletes k where v is Absent.  Without a      *)
(* session it asks for one, under a nonce of its own, and sends the write  *)
(* only when it has got it.                                                *)
(***************************************************************************)
InvokeWrite(c, k, v) ==
  /\ MayInvoke(c, "write", k, v)
  /\ Invoke(c, "write", k, v)
  /\ Send({IF sessions[c] = None
             THEN OpenRequest(c, requests[c] + 1)
             ELSE WriteRequest(c, sessions[c], requests[c] + 1, k, v)})
  /\ UNCHANGED <<coordinator, store, sessions, floors, history>>

(***************************************************************************)
(* Client c has waited long enough and sends its request again, unchanged. *)
(* Where the request is still in the network this changes nothing.  Where  *)
(* messages are received once only, the client's patience outlasts what is *)
(* sent once on behalf of its call; other models have the hasty retries.   *)
(***************************************************************************)
Retry(c) ==
  /\ Retries /\ calls[c].status = "open"
  /\ \A m \in messages : m.client = c => ~Once(m)
  /\ LET call == calls[c]
     IN  Send({IF call.op = "read" THEN ReadRequest(c, requests[c], call.key)
               ELSE IF sessions[c] = None THEN OpenRequest(c, requests[c])
               ELSE WriteRequest(c, sessions[c], requests[c], call.key,
                                 call.value)})
  /\ UNCHANGED <<coordinator, store, clients, history>>

(***************************************************************************)
(* Client c gives up.  A read, or a write still waiting for a session, did *)
(* not happen.  A write that was sent may have happened, and may still     *)
(* happen; neither the client nor its session is used again.               *)
(***************************************************************************)
Abandon(c) ==
  /\ c \in Quitters /\ calls[c].status = "open"
  /\ IF calls[c].op = "read" \/ sessions[c] = None THEN DidNotHappen(c)
                                                   ELSE OutcomeUnknown(c)
  /\ floors' = [floors EXCEPT ![c] = Zero]
  /\ UNCHANGED <<network, coordinator, store, sessions, requests, history>>

(***************************************************************************)
(* The client gets its session and sends the write it opened it for.  BUSY *)
(* is certain here: the write was never sent, and never will be.  (Here    *)
(* and below, a client that waits on and retries when it is told BUSY does *)
(* as if the message had not arrived.)                                     *)
(***************************************************************************)
HandleOpenResponse(c, m) ==
  /\ m.client = c
  /\ LET call == calls[c]
         mine == /\ Waits(c, "write") /\ sessions[c] = None
                 /\ m.nonce = <<c, requests[c]>>
     IN  IF mine /\ m.status = "OK"
           THEN /\ sessions' = [sessions EXCEPT ![c] = m.session]
                /\ Handle(m, {WriteRequest(c, m.session, requests[c],
                                           call.key, call.value)})
                /\ UNCHANGED <<calls, possible>>
           ELSE /\ IF mine THEN DidNotHappen(c) /\ Handle(m, {})
                           ELSE Drop(m) /\ UNCHANGED <<calls, possible>>
                /\ UNCHANGED sessions
  /\ UNCHANGED <<coordinator, store, requests, floors, history>>

(***************************************************************************)
(* The client learns what became of its write.  Only OK tells for certain: *)
(* BUSY, EXPIRED and REFUSED are said to one copy of the request, and      *)
(* another copy may have been sequenced before, or be sequenced later.     *)
(***************************************************************************)
HandleWriteResponse(c, m) ==
  /\ m.client = c
  /\ IF /\ Waits(c, "write") /\ m.session = sessions[c]
        /\ m.request = requests[c]
       THEN /\ IF m.status = "OK" THEN Answer(c, calls[c].value)
               ELSE IF \/ m.status = "BUSY" /\ ~BusyIsUnknown
                       \/ m.status = "EXPIRED" /\ ~ExpiredIsUnknown
                 THEN DidNotHappen(c)
                 ELSE OutcomeUnknown(c)
            /\ Handle(m, {})
       ELSE Drop(m) /\ UNCHANGED <<calls, possible>>
  /\ UNCHANGED <<coordinator, store, sessions, requests, floors, history>>

(***************************************************************************)
(* The client gets the value it asked for.  A read that is refused did     *)
(* nothing, so it is safe to say that it did not happen.                   *)
(***************************************************************************)
HandleReadResponse(c, m) ==
  /\ m.client = c
  /\ IF Waits(c, "read") /\ m.request = requests[c]
       THEN /\ IF m.status = "OK" THEN Answer(c, m.value) ELSE DidNotHappen(c)
            /\ floors' = [floors EXCEPT ![c] = Zero]
            /\ Handle(m, {})
       ELSE Drop(m) /\ UNCHANGED <<calls, possible, floors>>
  /\ UNCHANGED <<coordinator, store, sessions, requests, history>>

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
      /\ UNCHANGED <<nextSeq, unpublished, store, clients, history>>

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

Sequence(m, e) ==
  LET version == <<Epoch, nextSeq + 1>>
      entry   == [e EXCEPT !.request = m.request, !.key = m.key,
                           !.value = m.value, !.seq = nextSeq + 1,
                           !.acks = {}, !.done = FALSE]
  IN  /\ nextSeq' = nextSeq + 1
      /\ IF MarkFirst
           THEN /\ entries' = [entries EXCEPT ![Slot(m.session)] = entry]
                /\ UNCHANGED unpublished
           ELSE /\ unpublished' = [unpublished EXCEPT
                                     ![Slot(m.session)] = @ \cup {entry}]
                /\ UNCHANGED entries
      /\ Handle(m, Writes(Replicas, m.client, m.session, m.request,
                          version, m.key, m.value))
      /\ sequenced' = sequenced \cup
           {[version |-> version, session |-> m.session,
             request |-> m.request, key |-> m.key, value |-> m.value]}
      /\ UNCHANGED <<minted, committed>>

HandleWriteRequest(m) ==
  LET e     == entries[Slot(m.session)]
      known == e.owner = m.session
      again == Dedup /\ m.request = e.request
      old   == m.request < e.request /\ IgnoreOld
  IN  /\ \/ /\ ~known
            /\ Refuse(m, "EXPIRED")
         \/ /\ known /\ old
            /\ Drop(m) /\ UNCHANGED <<coordinator, history>>
         \/ /\ known /\ again
            /\ IF m.key # e.key \/ m.value # e.value
                 THEN Refuse(m, "REFUSED")
               ELSE IF Pending(e) THEN Repeat(m, e)
               ELSE Refuse(m, "OK")
         \/ /\ known /\ ~old /\ ~again
            /\ \/ ~Pending(e) /\ nextSeq < LastSeq /\ Sequence(m, e)
               \/ /\ Pending(e) \/ nextSeq = LastSeq \/ MayRefuse
                  /\ Refuse(m, "BUSY")
      /\ UNCHANGED <<store, clients>>

(***************************************************************************)
(* Only where MarkFirst is broken: the entry of a write that was multicast *)
(* a while ago reaches the table.                                          *)
(***************************************************************************)
PublishLate(s) ==
  \E e \in unpublished[s] :
    /\ entries' = [entries EXCEPT ![s] = e]
    /\ unpublished' = [unpublished EXCEPT ![s] = @ \ {e}]
    /\ UNCHANGED <<network, nextSeq, minted, store, clients, history>>

(***************************************************************************)
(* Only where NeverAbort is broken: a timer gives up the pending write in  *)
(* slot s, whose session expires and whose entry is free again.            *)
(***************************************************************************)
AbortPending(s) ==
  /\ ~NeverAbort /\ Pending(entries[s])
  /\ entries' = [entries EXCEPT ![s].owner = None, ![s].done = TRUE]
  /\ UNCHANGED <<network, nextSeq, minted, unpublished, store, clients,
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
  IN  /\ m.epoch = Epoch /\ m.replica \in Replicas
      /\ IF ~own \/ ~Pending(e)
           THEN /\ Drop(m)
                /\ UNCHANGED <<entries, committed>>
         ELSE IF ~covers
           THEN /\ entries' = [entries EXCEPT ![s].acks = acks]
                /\ Handle(m, {})
                /\ UNCHANGED committed
         ELSE /\ entries' = [t \in Slots |->
                   IF t \in settled
                     THEN [entries[t] EXCEPT !.acks = Replicas, !.done = TRUE]
                     ELSE entries[t]]
              /\ committed' = committed \cup
                   {<<Epoch, entries[t].seq>> : t \in settled}
              /\ Handle(m, IF m.client = None THEN {}
                           ELSE {WriteResponse(m, "OK")})
      /\ UNCHANGED <<nextSeq, minted, unpublished, store, clients, sequenced>>

\* A client wants to read.  Any serving member will do.
HandleReadRequest(m) ==
  /\ IF Serving = {} THEN Forward(m, {ReadResponse(m, "BUSY", Absent)})
     ELSE \E r \in Serving : Forward(m, {ReadTo(r, m, 0)})
  /\ UNCHANGED <<coordinator, store, clients, history>>

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
  /\ IF m.version = Zero \/ m.version[1] < Epoch \/ ~Gate
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
  /\ UNCHANGED <<coordinator, store, clients, history>>

-----------------------------------------------------------------------------
(***************************************************************************)
(*                              The replicas                               *)
(*                                                                         *)
(* A write arrives at replica r, which applies it if it is newer than what *)
(* the key holds, and acknowledges it in any case: the acknowledgement     *)
(* says that r holds this version or a newer one.  A delete leaves a       *)
(* tombstone, a version without a value.                                   *)
(***************************************************************************)
HandleWrite(r, m) ==
  LET held  == store[r][m.key].version
      apply == Newer(m.version, held) \/ ~VersionCompare
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
      /\ UNCHANGED <<coordinator, clients, history>>

\* A read arrives at replica r, which tells what it holds.
HandleRead(r, m) ==
  LET held == store[r][m.key]
  IN  /\ m.epoch = Epoch /\ m.replica = r
      /\ Forward(m, {[type |-> "ReadReply", epoch |-> Epoch, replica |-> r,
                      client |-> m.client, request |-> m.request,
                      key |-> m.key, hops |-> m.hops,
                      version |-> held.version, value |-> held.value,
                      writer |-> held.writer]})
      /\ UNCHANGED <<coordinator, store, clients, history>>

-----------------------------------------------------------------------------
\* The network loses a message for good.
Lose(m) ==
  /\ losses > 0 /\ Once(m)
  /\ losses' = losses - 1
  /\ messages' = messages \ {m}
  /\ UNCHANGED <<coordinator, store, clients, history>>

Init ==
  /\ messages = {} /\ losses = Losses
  /\ nextSeq = 0
  /\ entries = [s \in Slots |-> NoEntry]
  /\ minted = [s \in Slots |-> 0]
  /\ unpublished = [s \in Slots |-> {}]
  /\ store = [r \in Replicas |-> [k \in Keys |-> NothingStored]]
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
    \A r \in Replicas : ~Newer(w.version, store[r][w.key].version)

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
