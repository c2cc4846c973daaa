------------------------------ MODULE ShardData ------------------------------
(***************************************************************************)
(* The data plane of Shard.tla: clients, coordinators in the kernel, and   *)
(* replicas as long as nothing fails.  The names and the rules are those   *)
(* of Dalio.tla, the reductions those of ShardState.tla.                   *)
(***************************************************************************)
EXTENDS ShardState

-----------------------------------------------------------------------------
(***************************************************************************)
(*                               The clients                               *)
(***************************************************************************)
MayInvoke(c, op, k, v) ==
  /\ calls[c].status \in {"idle", "ok", "failed"}
  /\ [op |-> op, key |-> k, value |-> v] \in Wanted(c, requests[c] + 1)

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
      /\ begun' = [begun EXCEPT ![c] = NobodySilent]
      /\ possible' = IF Exact
           THEN [possible EXCEPT ![k] = Judge!Answered(@, c, v)]
           ELSE possible

DidNotHappen(c) ==
  LET k == calls[c].key
  IN  /\ calls' = [calls EXCEPT ![c].status = "failed"]
      /\ UNCHANGED begun
      /\ possible' = IF Exact
           THEN [possible EXCEPT ![k] = Judge!Failed(@, c)]
           ELSE possible

OutcomeUnknown(c) ==
  /\ calls' = [calls EXCEPT ![c].status = "unknown"]
  /\ UNCHANGED <<begun, possible>>

Reads(c) == calls[c].status = "open" /\ calls[c].op = "read"
WantsToWrite(c) == calls[c].status = "open" /\ calls[c].op = "write"

InvokeRead(c, k) ==
  /\ MayInvoke(c, "read", k, None)
  /\ Invoke(c, "read", k, None)
  /\ begun' = [begun EXCEPT ![c] = IF HeldSinceSent THEN silent
                                   ELSE NobodySilent]
  /\ UNCHANGED <<shard, kernel, nodes, messages, replies, sessions, faults,
                 committed>>

\* Without a session the client first asks for one, in HandleOpenRequest.
InvokeWrite(c, k, v) ==
  /\ MayInvoke(c, "write", k, v)
  /\ Invoke(c, "write", k, v)
  /\ Send(IF sessions[c] = None THEN {}
          ELSE {WriteRequest(c, sessions[c], requests[c] + 1, k, v)})
  /\ UNCHANGED <<shard, kernel, nodes, replies, sessions, begun, faults,
                 committed>>

-----------------------------------------------------------------------------
(***************************************************************************)
(*                       The coordinator's data plane                      *)
(***************************************************************************)
Running(x) == kernel[x].epoch # 0

(***************************************************************************)
(* A client asks for a session and gets a free entry, or one whose write   *)
(* is done.  An entry recovered from session records is reclaimed like any *)
(* other.                                                                  *)
(***************************************************************************)
HandleOpenRequest(x, c, s) ==
  LET e == kernel[x].entries[s]
      session == Session(kernel[x].epoch, kernel[x].counts[s] + 1, s)
  IN  /\ Running(x) /\ WantsToWrite(c) /\ sessions[c] = None
      /\ e.done /\ kernel[x].counts[s] < LastCount
      /\ kernel' = [kernel EXCEPT
           ![x].entries[s].owner = session, ![x].entries[s].request = 0,
           ![x].counts[s] = @ + 1]
      /\ sessions' = [sessions EXCEPT ![c] = session]
      /\ Send({WriteRequest(c, session, requests[c], calls[c].key,
                            calls[c].value)})
      /\ UNCHANGED <<shard, nodes, replies, requests, calls, begun, possible,
                     faults, committed>>

(***************************************************************************)
(* A write is requested, for the first time or again, late or twice.       *)
(*                                                                         *)
(* A session of an earlier epoch may be one that this coordinator has      *)
(* never heard of, because it had nothing settled when the epoch changed.  *)
(* It is adopted if it is newer than the slot's owner: an older one has    *)
(* been reclaimed, and its requests may be of any age.  A session of a     *)
(* later epoch is no business of a coordinator that has been replaced: it  *)
(* says nothing.                                                           *)
(***************************************************************************)
Waits(m) ==
  /\ WantsToWrite(m.client) /\ sessions[m.client] = m.session
  /\ requests[m.client] = m.request

Say(m, status) ==
  /\ Waits(m)
  /\ \/ status = "OK" /\ Answer(m.client, m.value)
     \/ status = "EXPIRED" /\ OutcomeUnknown(m.client)
     \/ /\ status = "TOO_FEW"
        /\ IF TooFewIsUnknown THEN OutcomeUnknown(m.client)
                              ELSE DidNotHappen(m.client)
  /\ UNCHANGED <<kernel, messages>>

\* Whom the program multicasts to, and whose acknowledgements it needs.
Needed(x) == kernel[x].mask \ kernel[x].lagging

Sequence(x, m, e) ==
  LET k == kernel[x]
      version == <<k.epoch, k.seq + 1>>
      entry == [e EXCEPT !.request = m.request, !.key = m.key,
                         !.seq = k.seq + 1, !.done = FALSE,
                         !.members = IF CurrentMembers THEN {} ELSE k.mask]
  IN  /\ k.seq < LastSeq
      /\ kernel' = [kernel EXCEPT ![x].seq = @ + 1,
                                  ![x].entries[Slot(m.session)] = entry]
      /\ Send(Writes(Needed(x), version, m))
      /\ UNCHANGED <<calls, begun, possible>>

Repeat(x, m, e) ==
  LET again == Writes(Needed(x), <<kernel[x].epoch, e.seq>>, m)
  IN  /\ ~(again \subseteq messages)
      /\ Send(again) /\ UNCHANGED <<kernel, calls, begun, possible>>

HandleWriteRequest(x, m) ==
  LET k     == kernel[x]
      e     == k.entries[Slot(m.session)]
      known == e.owner = m.session
      adopt == /\ ~known /\ m.session[1] < k.epoch /\ e.done
               /\ Newer(m.session, e.owner) \/ ~AdoptNewer
      now   == IF adopt THEN [e EXCEPT !.owner = m.session, !.request = 0]
               ELSE e
  IN  /\ Running(x) /\ m.session[1] <= k.epoch
      /\ \/ /\ ~known /\ ~adopt
            /\ Say(m, "EXPIRED")
         \/ /\ known /\ m.request = e.request
            /\ IF e.done THEN Say(m, "OK") ELSE Repeat(x, m, e)
         \/ /\ known \/ adopt
            /\ m.request > now.request /\ now.done
            /\ IF Cardinality(k.mask) < MinMembers THEN Say(m, "TOO_FEW")
               ELSE Sequence(x, m, now)
      /\ UNCHANGED <<shard, nodes, replies, sessions, requests, faults,
                     committed>>

(***************************************************************************)
(* The write in slot s is committed: the members of now have acknowledged  *)
(* it.  This is looked at when an acknowledgement arrives, when the        *)
(* request is repeated, and at the gate, so that a member removed holds up *)
(* nothing.                                                                *)
(***************************************************************************)
Acks(x, s) ==
  LET e == kernel[x].entries[s]
  IN  {m.replica : m \in {a \in Received("WriteAck") :
         /\ Slot(a.session) = s
         /\ IF AckEpoch THEN a.version = <<kernel[x].epoch, e.seq>>
                        ELSE a.version[2] = e.seq}}

HandleWriteAck(x, s) ==
  LET k == kernel[x]
      e == k.entries[s]
      needed == IF CurrentMembers THEN Needed(x) ELSE e.members
      settled == {s} \cup
        IF ClearOwnVersion THEN {}
        ELSE {t \in Slots : /\ ~k.entries[t].done
                            /\ k.entries[t].key = e.key
                            /\ k.entries[t].seq < e.seq}
  IN  /\ Running(x) /\ ~e.done
      /\ IF AckSet THEN needed \subseteq Acks(x, s)
         ELSE Cardinality(needed) <= Cardinality(Acks(x, s))
      /\ kernel' = [kernel EXCEPT ![x].entries =
           [t \in Slots |-> IF t \in settled THEN [@[t] EXCEPT !.done = TRUE]
                                             ELSE @[t]]]
      /\ committed' = committed \cup
           {[version |-> <<k.epoch, k.entries[t].seq>>,
             key |-> k.entries[t].key, session |-> k.entries[t].owner,
             request |-> k.entries[t].request] : t \in settled}
      /\ UNCHANGED <<shard, nodes, messages, replies, clients, faults>>

(***************************************************************************)
(* The read lease.  It holds while every member in the mask has answered   *)
(* something that was sent within the last L.  silent[e] are the members   *)
(* that were fenced for epoch e more than L ago, by any clock: since then  *)
(* they have answered nothing of earlier epochs.  An answer given before   *)
(* may still be on its way.                                                *)
(*                                                                         *)
(* A read is released if the lease has held at some moment since it began, *)
(* whether or not it still does: no later epoch had committed anything at  *)
(* that moment, so the read lacks nothing that was committed before it.    *)
(* Who is silent only becomes more, and so the moment at which it began is *)
(* the best one.                                                           *)
(***************************************************************************)
LateAnswer(x, r) ==
  \/ \E m \in Received("WriteAck") :
       m.replica = r /\ m.epoch = kernel[x].epoch
  \/ \E c \in Clients : /\ replies[c] # None
                        /\ replies[c].replica = r
                        /\ replies[c].epoch = kernel[x].epoch

LeaseHeld(x, then) ==
  \A e \in (kernel[x].epoch + 1)..LastEpoch :
    \A r \in kernel[x].mask \cap then[e] :
      ~LeaseBySent /\ LateAnswer(x, r)

\* The gate.
HandleReadReply(x, c) ==
  LET m == replies[c]
      k == kernel[x]
      e == k.entries[Slot(m.writer)]
  IN  /\ m # None /\ Running(x) /\ m.epoch = k.epoch
      /\ Lease => LeaseHeld(x, begun[c])
      /\ IF m.version = Zero \/ m.version[1] < k.epoch \/ ~Gate THEN TRUE
         ELSE e.seq > m.version[2] \/ (e.seq = m.version[2] /\ e.done)
      /\ Answer(c, m.value)
      /\ replies' = [replies EXCEPT ![c] = None]
      /\ UNCHANGED <<shard, kernel, nodes, messages, sessions, requests,
                     faults, committed>>

-----------------------------------------------------------------------------
(***************************************************************************)
(*                              The replicas                               *)
(*                                                                         *)
(* A write arrives at node n.  It is applied if it is newer than what the  *)
(* node holds of this membership; what is left of an earlier one proves    *)
(* nothing and gives way.  Up to the mark a write is stale: what outdated  *)
(* it may be collected.  The result of the session is recorded and the     *)
(* write acknowledged in any case.                                         *)
(***************************************************************************)
Accepts(n, m) ==
  nodes[n].open /\ nodes[n].id = m.replica /\ nodes[n].epoch = m.epoch

HandleWrite(n, m) ==
  LET node  == nodes[n]
      s     == Slot(m.session)
      held  == IF m.key \in node.old THEN NothingStored ELSE node.store[m.key]
      known == IF s \in node.old THEN NothingRecorded ELSE node.sessions[s]
      apply == /\ Outdates(m.version, held.version)
               /\ MarkStale => Newer(m.version, node.mark)
      new   == [session |-> m.session, request |-> m.request,
                version |-> m.version]
      learn == Later(new, known) /\ (apply \/ RecordStale)
  IN  /\ Accepts(n, m)
      /\ apply \/ learn \/ WriteAck(m.replica, m) \notin messages
      /\ nodes' = [nodes EXCEPT
           ![n].store[m.key] = IF apply
              THEN [version |-> m.version, value |-> m.value,
                    writer |-> m.session, request |-> m.request]
              ELSE @,
           ![n].sessions[s] = IF learn THEN new ELSE @,
           ![n].old = @ \ ((IF apply THEN {m.key} ELSE {}) \cup
                           (IF learn THEN {s} ELSE {}))]
      /\ Send({WriteAck(m.replica, m)})
      /\ UNCHANGED <<shard, kernel, replies, clients, faults, committed>>

(***************************************************************************)
(* Node n answers a read that a coordinator of its epoch has forwarded to  *)
(* it as a serving member.                                                 *)
(***************************************************************************)
HandleRead(n, c) ==
  LET node == nodes[n]
      held == node.store[calls[c].key]
  IN  /\ Reads(c) /\ replies[c] = None /\ node.open
      /\ \E x \in Coordinators : /\ kernel[x].epoch = node.epoch
                                 /\ node.id \in kernel[x].serving
      /\ replies' = [replies EXCEPT ![c] =
           [replica |-> node.id, epoch |-> node.epoch,
            version |-> held.version, value |-> held.value,
            writer |-> held.writer]]
      /\ UNCHANGED <<shard, kernel, nodes, messages, clients, faults,
                     committed>>
=============================================================================
