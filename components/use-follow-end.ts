import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

const endToleranceInPixels = 24;

/**
 * Keeps a scroller at its end while its content grows, as long as the reader is there. Only a move
 * upwards lets go: content that grew between a scroll and its event must not.
 *
 * `content` is whatever changes with the content; a rise of `sent` leads to the end in any case.
 */
export function useFollowEnd(content: unknown, sent: number) {
  const scroller = useRef<HTMLDivElement>(null);
  const isFollowing = useRef(true);
  const lastTop = useRef(0);
  const lastSent = useRef(sent);
  const [isAtEnd, setIsAtEnd] = useState(true);

  const follow = useCallback((following: boolean) => {
    isFollowing.current = following;
    setIsAtEnd(following);
  }, []);

  const goToEnd = useCallback(() => {
    follow(true);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  }, [follow]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const onScroll = () => {
      const { scrollTop, scrollHeight, clientHeight } = element;
      const isEnd = scrollHeight - scrollTop - clientHeight <= endToleranceInPixels;
      if (isEnd) follow(true);
      else if (scrollTop < lastTop.current) follow(false);
      lastTop.current = scrollTop;
    };
    // The keyboard of a phone and a growing composer take height away without a scroll.
    const resized = new ResizeObserver(() => {
      if (isFollowing.current) element.scrollTop = element.scrollHeight;
    });
    element.addEventListener("scroll", onScroll, { passive: true });
    resized.observe(element);
    return () => {
      element.removeEventListener("scroll", onScroll);
      resized.disconnect();
    };
  }, [follow]);

  useLayoutEffect(() => {
    if (sent > lastSent.current) follow(true);
    lastSent.current = sent;
    const element = scroller.current;
    if (element && isFollowing.current) element.scrollTop = element.scrollHeight;
  }, [content, sent, follow]);

  return { scroller, isAtEnd, goToEnd };
}
