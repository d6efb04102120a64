// @ts-check
// Whether this page may use the microphone.

const INSTEAD = "or attach a sound file instead.";
const REFUSED = `The browser does not let this page use the microphone: allow it beside the page's address, ${INSTEAD}`;
const UNSAFE = `The browser lets only pages over https use the microphone: open this one over https, ${INSTEAD}`;
const MISSING = `The browser finds no microphone: connect one, ${INSTEAD}`;
const TAKEN = `The microphone gives no sound: another program may use it. Close that, ${INSTEAD}`;

/**
 * Asks for the microphone, and lets go of it at once. Raises with one sentence where it is not to be had.
 * @param {Pick<MediaDevices, "getUserMedia"> | undefined} devices there are none on an insecure page
 */
export async function askForMicrophone(devices) {
  if (!devices) throw new Error(UNSAFE);
  try {
    const stream = await devices.getUserMedia({ audio: true });
    for (const track of stream.getTracks()) track.stop();
  } catch (error) {
    const { name } = /** @type {Error} */ (error);
    if (name === "NotAllowedError" || name === "SecurityError") throw new Error(REFUSED);
    throw new Error(name === "NotFoundError" ? MISSING : TAKEN);
  }
}
