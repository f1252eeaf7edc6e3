package conversation

import "time"

// pace measures how fast a client sends: a bucket of burst tokens that fills up by perSecond.
type pace struct {
	perSecond, burst float64
	tokens           float64
	last             time.Time
	second           int64 // the present one
	count            int   // of frames in it
}

// verdict is what to do with a frame.
type verdict int

const (
	inTime verdict = iota
	tooFast
	flood
)

// floodFactor says how much faster than allowed a client is that does not want an answer.
const floodFactor = 10

func newPace(l Limits) pace {
	return pace{perSecond: float64(l.FramesPerSecond), burst: float64(l.Burst), tokens: float64(l.Burst)}
}

// take judges one frame that came at now.
func (p *pace) take(now time.Time) verdict {
	if s := now.Unix(); s != p.second {
		p.second, p.count = s, 0
	}
	p.count++
	if float64(p.count) > max(floodFactor*p.perSecond, p.burst) {
		return flood
	}
	if !p.last.IsZero() {
		p.tokens = min(p.burst, p.tokens+p.perSecond*now.Sub(p.last).Seconds())
	}
	p.last = now
	if p.tokens < 1 {
		return tooFast
	}
	p.tokens--
	return inTime
}
