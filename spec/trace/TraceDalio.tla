----------------------------- MODULE TraceDalio -----------------------------
(***************************************************************************)
(* Whether what a shard did is a behaviour of Dalio.tla.                   *)
(*                                                                         *)
(* TraceData, which is generated, has the events of a trace in one order,  *)
(* cut into chunks.  A chunk begins in a state that it gives, and is       *)
(* accepted if its events, one after the other, are steps of Dalio.tla     *)
(* with just the effects that they tell of, and end in the state that it   *)
(* gives for its end.  The generator begins each chunk where the one       *)
(* before it ended, so if all are accepted the whole is a behaviour.       *)
(*                                                                         *)
(* States are cut down to what the events of a chunk touch: keys and       *)
(* clients that none of them names, and messages that none of them         *)
(* receives, are left out.  No action of Dalio.tla looks at other keys or  *)
(* clients, and none asks whether a message is not there: with more in the *)
(* network it can do all that it could do with less.  History is left out  *)
(* too, but for what the chunk adds to it.                                 *)
(*                                                                         *)
(* An event is a tuple: who tells it, its number among that teller's, to   *)
(* whom the messages that it sends will arrive, whether the message that   *)
(* it handles arrives for the last time, the action, and what the action   *)
(* was about.  Clients, keys and values are numbers; 0 is nobody, and the  *)
(* value of an absent key.                                                 *)
(***************************************************************************)
EXTENDS Dalio, Sequences, TLC, TraceData

CONSTANT Follow  \* is each step to be printed?

\* The chunk is in a variable, because TLC would look through all of Chunks for
\* each definition that leads there.
VARIABLES chunk, number, line, told

traceVars == <<chunk, number, line, told, vars>>

\* A step that the event tells of has one outcome, so this tells states apart.
TraceView == <<number, line>>

Event == chunk.events[line]

By     == Event[1]
Number == Event[2]
Keep   == Event[3]
Last   == Event[4]
Action == Event[5]
About  == Event[6]
Sent   == Event[7]  \* <<>>, <<type>>, <<type, replicas>> or <<type, status>>
Seen   == Event[8]  \* <<>> or <<slot, seq, acks, done, owner>>

Somebody(c)  == IF c = 0 THEN None ELSE c
SessionOf(s) == IF s = <<>> THEN None ELSE s
ValueIs(v)   == IF v = 0 THEN Absent ELSE v

-----------------------------------------------------------------------------
(***************************************************************************)
(* The network, in place of that in State.tla.  What an action sends must  *)
(* be what the event says was sent.  Of that, it keeps what somebody will  *)
(* receive; a message is gone when nobody will receive it any more.        *)
(***************************************************************************)
Toward(m) == IF m.type \in {"Read", "Write"} THEN m.replica ELSE 0

AsTold(ms) ==
  IF Sent = <<>> THEN ms = {}
  ELSE /\ ms # {}
       /\ \A m \in ms : m.type = Sent[1]
       /\ CASE Sent[1] \in {"Read", "Write"} ->
                 {m.replica : m \in ms} = Sent[2]
            [] Sent[1] \in {"OpenResponse", "ReadResponse", "WriteResponse"} ->
                 \A m \in ms : m.status = Sent[2]
            [] OTHER -> TRUE

Kept(ms) == {m \in ms : Toward(m) \in Keep}

TraceHandle(m, ms) ==
  /\ AsTold(ms)
  /\ messages' = (IF Last THEN messages \ {m} ELSE messages) \cup Kept(ms)
  /\ UNCHANGED losses

TraceForward(m, ms) == TraceHandle(m, ms)

TraceSend(ms) ==
  AsTold(ms) /\ messages' = messages \cup Kept(ms) /\ UNCHANGED losses

Arrives(m) == m \in messages

\* In place of the cfg's: every client may call what it likes, and give up.
TraceWanted(c, n) == [op : {"read", "write"}, key : Keys,
                      value : Contents \cup {None}]
TraceOnce(m) == FALSE

-----------------------------------------------------------------------------
\* The slot is after the step as it was seen.
SeenSlot ==
  Seen # <<>> =>
    LET e == entries'[Seen[1]]
    IN  /\ e.seq = Seen[2] /\ e.acks = Seen[3] /\ e.done = Seen[4]
        /\ Seen[5] # <<>> => e.owner = Seen[5]

TraceHandleOpenRequest ==
  LET m == [type |-> "OpenRequest", client |-> About[1],
            nonce |-> <<About[1], About[2]>>]
  IN  /\ Arrives(m) /\ HandleOpenRequest(m)
      \* The session that the answer gives.
      /\ entries'[Seen[1]].owner = About[3]
      /\ entries'[Seen[1]].nonce = m.nonce

TraceHandleWriteRequest ==
  LET m == WriteRequest(About[1], About[2], About[3], About[4],
                        ValueIs(About[5]))
  IN  Arrives(m) /\ HandleWriteRequest(m)

TraceHandleWriteAck ==
  LET m == [type |-> "WriteAck", epoch |-> Epoch, replica |-> About[1],
            client |-> Somebody(About[2]), session |-> About[3],
            request |-> About[4], version |-> About[5]]
  IN  Arrives(m) /\ HandleWriteAck(m)

TraceHandleReadRequest ==
  LET m == ReadRequest(About[1], About[2], About[3])
  IN  Arrives(m) /\ HandleReadRequest(m)

ReadReply ==
  [type |-> "ReadReply", epoch |-> Epoch, replica |-> About[1],
   client |-> About[2], request |-> About[3], key |-> About[4],
   hops |-> About[5], version |-> About[6], value |-> ValueIs(About[7]),
   writer |-> SessionOf(About[8])]

TraceHandleReadReply == Arrives(ReadReply) /\ HandleReadReply(ReadReply)

TraceHandleWrite ==
  LET r == About[1]
      m == [type |-> "Write", epoch |-> Epoch, replica |-> r,
            client |-> Somebody(About[2]), session |-> About[3],
            request |-> About[4], version |-> About[5], key |-> About[6],
            value |-> ValueIs(About[7])]
  IN  /\ Arrives(m) /\ HandleWrite(r, m)
      /\ About[8] = (store' # store)  \* applied, as the replica says

TraceHandleRead ==
  LET r == About[1]
      m == [type |-> "Read", epoch |-> Epoch, replica |-> r,
            client |-> About[2], request |-> About[3], key |-> About[4],
            hops |-> About[5]]
      held == store[r][About[4]]
  IN  /\ Arrives(m) /\ HandleRead(r, m)
      \* What the replica says it answered.
      /\ held.version = About[6] /\ held.value = ValueIs(About[7])
      /\ held.writer = SessionOf(About[8])

TraceInvokeRead ==
  InvokeRead(About[1], About[3]) /\ requests'[About[1]] = About[2]

TraceInvokeWrite ==
  /\ InvokeWrite(About[1], About[3], ValueIs(About[4]))
  /\ requests'[About[1]] = About[2]
  /\ sessions[About[1]] = SessionOf(About[5])

TraceRetry == Retry(About[1]) /\ requests[About[1]] = About[2]

TraceAbandon == Abandon(About[1]) /\ requests[About[1]] = About[2]

TraceHandleOpenResponse ==
  LET m == [type |-> "OpenResponse", client |-> About[1],
            nonce |-> About[2], status |-> "OK", session |-> About[3]]
  IN  /\ Arrives(m) /\ HandleOpenResponse(About[1], m)
      /\ sessions'[About[1]] = About[3]

TraceHandleWriteResponse ==
  LET m == [type |-> "WriteResponse", client |-> About[1],
            session |-> About[3], request |-> About[2], status |-> About[4]]
  IN  /\ Arrives(m) /\ HandleWriteResponse(About[1], m)
      /\ calls'[About[1]].status # "open"

TraceHandleReadResponse ==
  LET m == [type |-> "ReadResponse", client |-> About[1],
            request |-> About[2], status |-> "OK", value |-> ValueIs(About[3])]
  IN  /\ Arrives(m) /\ HandleReadResponse(About[1], m)
      /\ calls'[About[1]].status = "ok"

\* A message that is dropped for a reason that is not the protocol's, and might as
\* well have been lost.
TraceIgnored == Sent = <<>> /\ UNCHANGED vars

Step ==
  CASE Action = "HandleRead"          -> TraceHandleRead
    [] Action = "HandleReadRequest"   -> TraceHandleReadRequest
    [] Action = "HandleReadReply"     -> TraceHandleReadReply
    [] Action = "HandleWrite"         -> TraceHandleWrite
    [] Action = "HandleWriteAck"      -> TraceHandleWriteAck
    [] Action = "HandleWriteRequest"  -> TraceHandleWriteRequest
    [] Action = "HandleOpenRequest"   -> TraceHandleOpenRequest
    [] Action = "InvokeRead"          -> TraceInvokeRead
    [] Action = "InvokeWrite"         -> TraceInvokeWrite
    [] Action = "Retry"               -> TraceRetry
    [] Action = "Abandon"             -> TraceAbandon
    [] Action = "HandleOpenResponse"  -> TraceHandleOpenResponse
    [] Action = "HandleWriteResponse" -> TraceHandleWriteResponse
    [] Action = "HandleReadResponse"  -> TraceHandleReadResponse
    [] Action = "Ignored"             -> TraceIgnored
    [] OTHER -> FALSE

-----------------------------------------------------------------------------
TraceInit ==
  /\ line = 1
  /\ number \in 1..Len(Chunks)
  /\ chunk \in {Chunks[number]}
  /\ LET s == chunk.start
     IN  /\ told = s.told
         /\ messages = s.messages /\ losses = 0
         /\ nextSeq = s.nextSeq /\ entries = s.entries /\ minted = s.minted
         /\ unpublished = [t \in Slots |-> {}]
         /\ store = s.store
         /\ collect = [r \in Replicas |-> Zero]
         /\ sessions = s.sessions /\ requests = s.requests /\ calls = s.calls
         /\ floors = [c \in DOMAIN s.calls |-> Zero]
         /\ possible = <<>> /\ sequenced = {} /\ committed = {}

\* The state that the next chunk takes up.
AtEnd ==
  LET s == chunk.end
  IN  /\ told' = s.told /\ messages' = s.messages /\ nextSeq' = s.nextSeq
      /\ entries' = s.entries /\ minted' = s.minted /\ store' = s.store
      /\ sessions' = s.sessions /\ requests' = s.requests /\ calls' = s.calls

TraceNext ==
  /\ line <= Len(chunk.events)
  /\ told[By] + 1 = Number
  /\ Step
  /\ SeenSlot
  /\ told' = [told EXCEPT ![By] = Number]
  /\ line' = line + 1 /\ UNCHANGED <<chunk, number>>
  /\ Follow => PrintT("step " \o ToString(number) \o " " \o ToString(line))
  /\ line = Len(chunk.events) =>
       AtEnd /\ PrintT("accepted " \o ToString(number))

TraceSpec == TraceInit /\ [][TraceNext]_traceVars
=============================================================================
