export { freePort } from '../../operator/stack/ports';
