package meet

import (
	"parley/frontends/frame"
	"parley/internal/fault"
)

// The codes that only this dialect has. It shares the others with package fault.
const (
	roomNotFound        fault.Code = "ROOM_NOT_FOUND"
	participantNotFound fault.Code = "PARTICIPANT_NOT_FOUND"
	notInRoom           fault.Code = "NOT_IN_ROOM"
)

// codeOf is this dialect's table of codes: the document's where it has one, else those of package fault.
func codeOf(err error) fault.Code {
	switch code := frame.CodeOf(err); code {
	case fault.NotFound:
		return roomNotFound
	case fault.Gone:
		return participantNotFound
	case fault.NotSubscribed:
		return notInRoom
	default:
		return code
	}
}

// noParticipant is what the dialect says about a target that is not in the room.
func noParticipant(err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return fault.Wrap(fault.Gone, err, "%s", fault.Message(err))
	}
	return err
}
