------------------------------- MODULE Client -------------------------------
(***************************************************************************)
(* What the clients of a shard do.  A client has one call open at a time.  *)
(* It opens a session when it first writes; reads need none.               *)
(***************************************************************************)
EXTENDS State

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
  /\ UNCHANGED <<coordinator, replicas, sessions, history>>

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
  /\ UNCHANGED <<coordinator, replicas, sessions, floors, history>>

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
  /\ UNCHANGED <<coordinator, replicas, clients, history>>

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
  /\ UNCHANGED <<network, coordinator, replicas, sessions, requests, history>>

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
           ELSE /\ (IF mine THEN DidNotHappen(c) /\ Handle(m, {})
                            ELSE Drop(m) /\ UNCHANGED <<calls, possible>>)
                /\ UNCHANGED sessions
  /\ UNCHANGED <<coordinator, replicas, requests, floors, history>>

(***************************************************************************)
(* The client learns what became of its write.  Only OK tells for certain: *)
(* BUSY, EXPIRED and REFUSED are said to one copy of the request, and      *)
(* another copy may have been sequenced before, or be sequenced later.     *)
(***************************************************************************)
HandleWriteResponse(c, m) ==
  /\ m.client = c
  /\ IF /\ Waits(c, "write") /\ m.session = sessions[c]
        /\ m.request = requests[c]
       THEN /\ (IF m.status = "OK" THEN Answer(c, calls[c].value)
                ELSE IF \/ m.status = "BUSY" /\ ~BusyIsUnknown
                        \/ m.status = "EXPIRED" /\ ~ExpiredIsUnknown
                  THEN DidNotHappen(c)
                  ELSE OutcomeUnknown(c))
            /\ Handle(m, {})
       ELSE Drop(m) /\ UNCHANGED <<calls, possible>>
  /\ UNCHANGED <<coordinator, replicas, sessions, requests, floors, history>>

(***************************************************************************)
(* The client gets the value it asked for.  A read that is refused did     *)
(* nothing, so it is safe to say that it did not happen.                   *)
(***************************************************************************)
HandleReadResponse(c, m) ==
  /\ m.client = c
  /\ IF Waits(c, "read") /\ m.request = requests[c]
       THEN /\ (IF m.status = "OK" THEN Answer(c, m.value) ELSE DidNotHappen(c))
            /\ floors' = [floors EXCEPT ![c] = Zero]
            /\ Handle(m, {})
       ELSE Drop(m) /\ UNCHANGED <<calls, possible, floors>>
  /\ UNCHANGED <<coordinator, replicas, sessions, requests, history>>
=============================================================================
