"""The script that everyone writes to align two photos: SIFT at full resolution, brute force, ratio test, RANSAC."""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.types import F64, U8

_RATIO = 0.75


def align(phone: U8, dslr: U8) -> F64:
    """Return the homography [3, 3], phone -> DSLR, of two RGB photos [H, W, 3]."""
    sift = cv2.SIFT_create()
    grays = [cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) for photo in (phone, dslr)]
    (points, descriptors), (dslr_points, dslr_descriptors) = [sift.detectAndCompute(gray, None) for gray in grays]
    pairs = cv2.BFMatcher().knnMatch(descriptors, dslr_descriptors, k=2)
    good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    source = np.array([points[match.queryIdx].pt for match in good])
    target = np.array([dslr_points[match.trainIdx].pt for match in good])
    homography, _ = cv2.findHomography(source, target, cv2.RANSAC)
    return homography
