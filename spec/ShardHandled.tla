---------------------------- MODULE ShardHandled ----------------------------
(***************************************************************************)
(* Ties the data plane of Shard.tla to Handler.tla: with every result of   *)
(* the handler in place of DataStep (HandledSpec), each step is still one  *)
(* of Next.                                                                *)
(*                                                                         *)
(* Shard.tla allows more than the handler does, because it leaves out what *)
(* a failure makes no difference to.  Here that is undone: any part of the *)
(* acknowledgements that were sent may have been counted, and a packet     *)
(* that only adds to them is no step.  An answer that comes with a commit  *)
(* is a step of its own, after it.  BUSY and REFUSED are said to nobody.   *)
(***************************************************************************)
EXTENDS Shard

Clock == 4

H == INSTANCE Handler WITH
  Replicas <- Ids, MaxHops <- 0, Now <- Clock,
  Lease <- IF Lease THEN 1 ELSE 0

\* When a coordinator last found that the lease held; and when it forwarded a
\* read: before that, if the lease has held since the read began.
HeldAt == 2

SentAt(x, c) == IF LeaseHeld(x, begun[c]) THEN HeldAt - 1 ELSE HeldAt

\* Whom nobody has heard of since it was fenced by a later coordinator.
Silenced(x) == UNION {silent[e] : e \in (kernel[x].epoch + 1)..LastEpoch}

Entry(e, acks) ==
  [owner |-> e.owner, nonce |-> 0, request |-> e.request,
   op |-> IF e.request = 0 THEN "none" ELSE "put", hash |-> "", digest |-> "",
   seq |-> e.seq, acks |-> IF e.done THEN {} ELSE acks, done |-> e.done,
   settled |-> Zero, idle |-> TRUE]

\* acks are the acknowledgements counted of the write in slot s.
Coordinator(x, s, acks) ==
  LET k == kernel[x]
  IN  [epoch |-> k.epoch, seq |-> k.seq, least |-> MinMembers,
       known |-> [r \in Ids |-> IF r \in k.mask THEN 1 ELSE 0],
       members |-> Needed(x), serving |-> k.serving,
       heard |-> [r \in Ids |-> IF r \in Silenced(x) THEN 0 ELSE Clock],
       held |-> IF Lease THEN HeldAt ELSE 0,
       entries |-> [t \in Slots |->
                      Entry(k.entries[t], IF t = s THEN acks ELSE {})]]

\* What may have been counted, but for what commits the write.
Counted(x, s) ==
  {acks \in SUBSET (Acks(x, s) \cap kernel[x].mask) : ~(Needed(x) \subseteq acks)}

OfType(type) == [H!Blank EXCEPT !.type = type, !.op = "put"]

Results(x, s, p) ==
  UNION {H!Results(Coordinator(x, s, acks), p) : acks \in Counted(x, s)}

Says(r, status) == "client" \in DOMAIN r.out /\ r.out.message.status = status

\* Coordinator x as the handler has left it, where a write of key was sequenced.
Left(x, d, key) ==
  LET After(s) ==
        LET old == kernel[x].entries[s]
            e   == d.entries[s]
        IN  [owner |-> e.owner, request |-> e.request, seq |-> e.seq,
             key |-> IF e.seq # old.seq THEN key ELSE old.key,
             members |-> IF e.seq # old.seq THEN {} ELSE old.members,
             done |-> e.done]
      opened(s) == d.entries[s].owner # kernel[x].entries[s].owner
                   /\ d.entries[s].owner[1] = d.epoch
  IN  [kernel EXCEPT
         ![x].seq = d.seq,
         ![x].entries = [s \in Slots |-> After(s)],
         ![x].counts = [s \in Slots |-> IF opened(s) THEN @[s] + 1 ELSE @[s]]]

-----------------------------------------------------------------------------
HandledOpen(x, c) ==
  /\ Running(x) /\ WantsToWrite(c) /\ sessions[c] = None
  /\ \E r \in H!Results(Coordinator(x, None, {}),
                        [OfType("OpenRequest") EXCEPT !.op = "none",
                           !.from = c, !.request = 1]) :
       /\ Says(r, "OK")
       /\ LET session == r.out.message.session
          IN  /\ kernel' = Left(x, r.state, None)
              /\ sessions' = [sessions EXCEPT ![c] = session]
              /\ Send({WriteRequest(c, session, requests[c], calls[c].key,
                                    calls[c].value)})
  /\ UNCHANGED <<shard, nodes, replies, requests, calls, begun, possible,
                 faults, committed>>

HandledRequest(x, m) ==
  /\ Running(x)
  /\ \E r \in Results(x, Slot(m.session),
                      [OfType("WriteRequest") EXCEPT !.from = m.client,
                         !.session = m.session, !.request = m.request,
                         !.key = "k", !.value = "v"]) :
       \/ /\ "replicas" \in DOMAIN r.out
          /\ kernel' = Left(x, r.state, m.key)
          /\ Send(Writes(r.out.replicas, r.out.message.version, m))
          /\ UNCHANGED <<calls, begun, possible>>
       \/ /\ Waits(m)
          /\ \/ Says(r, "OK") /\ Answer(m.client, m.value)
             \/ /\ Says(r, "EXPIRED") \/ Says(r, "TOO_FEW")
                /\ OutcomeUnknown(m.client)
          /\ kernel' = Left(x, r.state, None) /\ UNCHANGED messages
  /\ UNCHANGED <<shard, nodes, replies, sessions, requests, faults, committed>>

HandledAck(x, a) ==
  LET s == Slot(a.session)
      e == kernel[x].entries[s]
  IN  /\ Running(x) /\ ~e.done
      /\ \E r \in Results(x, s,
                          [OfType("WriteAck") EXCEPT !.from = a.replica,
                             !.epoch = a.epoch, !.replica = <<a.replica, 1>>,
                             !.version = a.version, !.session = a.session,
                             !.writer = a.session, !.request = 1]) :
           /\ r.state.entries[s].done
           /\ kernel' = Left(x, r.state, None)
      /\ committed' = committed \cup
           {[version |-> <<kernel[x].epoch, e.seq>>, key |-> e.key,
             session |-> e.owner, request |-> e.request]}
      /\ UNCHANGED <<shard, nodes, messages, replies, clients, faults>>

HandledReply(x, c) ==
  LET m == replies[c]
  IN  /\ m # None /\ Running(x)
      /\ \E r \in Results(x, Slot(m.writer),
                          [OfType("ReadReply") EXCEPT !.from = m.replica,
                             !.epoch = m.epoch, !.replica = <<m.replica, 1>>,
                             !.version = m.version, !.writer = m.writer,
                             !.request = 1, !.key = "k", !.client = c,
                             !.sent = SentAt(x, c)]) :
           /\ Says(r, "OK")
           /\ kernel' = Left(x, r.state, None)
      /\ Answer(c, m.value)
      /\ replies' = [replies EXCEPT ![c] = None]
      /\ UNCHANGED <<shard, nodes, messages, sessions, requests, faults,
                     committed>>

HandledStep(x) ==
  \/ \E c \in Clients : HandledOpen(x, c) \/ HandledReply(x, c)
  \/ \E m \in Received("WriteRequest") : HandledRequest(x, m)
  \/ \E a \in Received("WriteAck") : HandledAck(x, a)

HandledNext ==
  \/ \E c \in Clients : ClientStep(c)
  \/ \E x \in Coordinators : HandledStep(x) \/ ControlStep(x)
  \/ \E n \in Nodes : ReplicaStep(n)
  \/ \E n \in Nodes : Crash(n)
  \/ \E n \in Nodes : Restart(n)
  \/ LosePower

HandledSpec == Init /\ [][HandledNext]_vars

StepsAreKnown == [][Next]_vars
=============================================================================
